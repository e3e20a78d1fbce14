// What visitors that move much cost those that ask little: the time of 64 bytes there and back,
// alone and beside others, through the relay and through HAProxy, round by round.  See run.sh.
//
// HAProxy takes each visitor to the TLS end on a connection of its own: there is no tunnel to share.
// "paced" is an end that moves 100 MB/s each way, "slow link" one of 12.5 MB/s.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { binary, freePort, machine, rssBytes, start, startProxy, startRelay, tree, within }
    from './process.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = Number(process.env.EACH ?? 3);
const SLOW_RATE = 12_500_000; // bytes a second: 100 Mbit/s
const PACED_RATE = 100_000_000;
const PAUSE_MS = 1;
const CROWD_PAUSE_MS = 20;
const [HOST, MANY_HOST] = ['fair.example', 'many.example'];
const program = (name) => path.join(tree, 'build/bench', name);

const one = (name, what, bulks, host = HOST) =>
    ({ name, askers: 1, pause: PAUSE_MS, what, bulks, host });
const works = [
    one('1 visitor, alone', 'read', 0),
    one('... beside 8 downloads, same tunnel', 'read', 8),
    one('... beside 8 uploads, same tunnel', 'write', 8),
    one('... beside 8 tunnels that download', 'read', 8, MANY_HOST),
    one('... beside 8 tunnels that upload', 'write', 8, MANY_HOST),
    { name: '100 visitors', askers: 100, pause: CROWD_PAUSE_MS, what: 'stall', bulks: 0, host: HOST },
    { name: '... beside 1 that takes nothing', askers: 100, pause: CROWD_PAUSE_MS, what: 'stall',
        bulks: 1, host: HOST },
];

const isReady = (text) => text.includes('ready');

// One subject: {name, child, port}; `child` is what stands between.
async function relay(folder, name, rate) {
    const r = await startRelay(path.join(folder, name), 1);
    const tokenFor = (host) => execFileSync(binary, ['token', '--state', r.state, '--host', host])
        .toString().trim();
    for (const [host, tunnels] of [[HOST, 1], [MANY_HOST, 8]])
        await start(program('fair_device'), ['tunnel', r.port, rate, tokenFor(host), tunnels]
            .map(String), isReady).ready;
    return { ...r, name: `rvpn${name}` };
}

async function proxy(folder, name, rate, state) {
    const backend = await freePort();
    await start(program('fair_device'), ['serve', backend, rate, `${state}/certificate.pem`,
        `${state}/certificate-key.pem`].map(String), isReady).ready;
    const p = await startProxy(folder, `haproxy${name}`, { backend });
    return { ...p, name: `haproxy${name}` };
}

async function measure(subject, work) {
    const before = rssBytes(subject.child);
    const load = start(program('fair_visitors'), [subject.port, SECONDS, HOST, work.askers,
        work.pause, work.host, work.what, work.bulks].map(String),
    (text) => text.includes('moving'));
    await load.ready;
    const held = rssBytes(subject.child) - before;
    const code = await within(load.ended, `${subject.name} ${work.name}`, 60_000);
    if (code !== 0) throw new Error(`${subject.name} ${work.name}: ${load.text}`);
    const seen = JSON.parse(load.text.trim().split('\n').at(-1));
    return { subject: subject.name, work: work.name, held, ...seen };
}

function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function summarize(results, names) {
    return works.flatMap((work) => names.map((name) => {
        const mine = results.filter((r) => r.work === work.name && r.subject === name);
        const of = (key) => median(mine.map((r) => r[key]));
        return { work: work.name, subject: name, p50: of('p50'), p99: of('p99'), count: of('count'),
            rate: of('bytes') / SECONDS, held: of('held'),
            p99s: mine.map((r) => r.p99) };
    }));
}

function line(cells) {
    const widths = [28, 9, 9, 9, 9, 9];
    return cells.map((c, i) => (i === 0 ? c.padEnd(28) : c.padStart(widths[i] ?? 0))).join(' ');
}

function print(rows) {
    let work;
    const ms = (us) => (us / 1000).toFixed(2);
    for (const row of rows) {
        if (row.work !== work) {
            work = row.work;
            console.log(`\n${work}\n` + line(['', 'p50 ms', 'p99 ms', 'answers', 'bulk MB/s',
                'RSS +KiB', ' p99 of each round']));
        }
        console.log(line([`  ${row.subject}`, ms(row.p50), ms(row.p99), String(row.count),
            (row.rate / 1e6).toFixed(1), (row.held / 1024).toFixed(0),
            ` ${row.p99s.map(ms).join(' ')}`]));
    }
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
process.on('unhandledRejection', (err) => {
    console.error(err);
    process.exit(1);
});

const subjects = [];
for (const [name, rate] of [['', 0], [', paced', PACED_RATE], [', slow link', SLOW_RATE]]) {
    const r = await relay(folder, name, rate);
    subjects.push(r, await proxy(folder, name, rate, r.state));
}
const results = [];
for (let round = 0; round < ROUNDS; round++)
    for (const work of works)
        for (let i = 0; i < subjects.length; i++) {
            const subject = subjects[(i + round) % subjects.length]; // nobody is always first
            const result = { round, ...(await measure(subject, work)) };
            results.push(result);
            process.stderr.write(`${round + 1}/${ROUNDS} ${work.name}: ${subject.name} ` +
                `${result.p50} ${result.p99} us\n`);
        }

const about = { machine: machine(), rounds: ROUNDS, seconds: SECONDS,
    command: `EACH=${SECONDS} ROUNDS=${ROUNDS} bench/run.sh fair` };
const rows = summarize(results, subjects.map((s) => s.name));
const file = path.join(tree, 'build/bench/fair.json');
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, JSON.stringify({ ...about, rows, results }, null, 1));
console.log(Object.entries(about.machine).map(([k, v]) => `${k} ${v}`).join(', '));
console.log(about.command);
print(rows);
console.log(`\nall figures: ${path.relative(process.cwd(), file)}`);
process.exit(0);
