// Other tunnels beside rvpn with its TLS on: how fast one stream is and 64 connections that ask, and
// the CPU of the relay and of the client meanwhile; interleaved, round by round.  See run.sh.
//
// A peer is four processes: visitors, its relay, its client, a service.  So is "rvpn", whose client
// is bench/load.c with --forward; "rvpn, device serves" has the service inside of the device, as
// programs have that speak M-PROXY themselves.  Nobody is bound to a core.  Which peers there are,
// bench/peers/install.mjs has found out.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Held } from './held.mjs';
import { peers } from './peers/index.mjs';
import { freePort, machine, sleep, startRelay, tree } from './process.mjs';

const ROUNDS = Number(process.env.ROUNDS ?? 5);
const SECONDS = Number(process.env.EACH ?? 1);
const ONLY = process.env.ONLY?.split(',') ?? []; // parts of names
const WARM = '0.3';
const REST_MS = 100;
const OURS = 'rvpn';

const works = [
    { name: 'one stream to the visitor', args: ['--work', 'down'], moves: 'down', far: false },
    { name: 'one stream to the service', args: ['--work', 'up'], moves: 'up', far: true },
    { name: '64 connections that ask', args: ['--work', 'ask', '--visitors', '64'] },
];

// What the visitors reach without any tunnel.
const direct = {
    name: 'no tunnel',
    encrypts: false,
    start: async ({ servicePort }) =>
        ({ visitPort: servicePort, relayPids: [], clientPids: [], stop() {} }),
};

function ours(name, farArgs) {
    const start = async ({ servicePort, folder }) => {
        const relay = await startRelay(folder, 1);
        const device = await Held.start(['--relay', relay.port, '--secret', `${relay.state}/secret`,
            ...farArgs(servicePort)]);
        const stop = async () => {
            await device.end();
            relay.child.kill('SIGTERM');
            await relay.child.ended;
        };
        return { visitPort: relay.port, relayPids: [relay.child.pid], clientPids: [device.pid],
            far: farArgs(servicePort).length ? undefined : device, stop };
    };
    return { name, encrypts: true, start };
}

const subjects = [
    ours(OURS, (servicePort) => ['--forward', servicePort]),
    ours('rvpn, device serves', () => []),
    ...peers,
    direct,
];

// Of one work over a tunnel that is open: {rate, relay, client}, CPU seconds per GB or per request.
async function measure(tunnel, service, work) {
    const far = tunnel.far ?? service;
    const pids = [...tunnel.relayPids, ...tunnel.clientPids];
    const visitors = await Held.start(['--visit', tunnel.visitPort, ...work.args, '--warm', WARM,
        ...(pids.length ? ['--watch', pids.join()] : [])]);
    try {
        await Promise.all([far.counts(), visitors.counts()]);
        await sleep(SECONDS * 1000);
        const [served, seen] = await Promise.all([far.counts(), visitors.counts()]);
        const by = work.far ? served : seen;
        const amount = work.moves ? by[work.moves] / 1e9 : by.requests;
        if (seen.errors) throw new Error(`${seen.errors} connections were lost`);
        if (!amount) throw new Error('nothing came');
        const cpu = (ids) => (seen.watched ?? []).filter(({ pid }) => ids.includes(pid))
            .reduce((sum, one) => sum + one.cpu_s, 0) / amount;
        return { rate: (work.moves ? amount * 8 : amount) / by.seconds, relay: cpu(tunnel.relayPids),
            client: cpu(tunnel.clientPids) };
    } finally {
        await visitors.end();
    }
}

async function round(subject, folder, results) {
    const servicePort = await freePort();
    const service = await Held.start(['--service', servicePort]);
    const tunnel = await subject.start({ servicePort, folder });
    try {
        for (const work of works) {
            const result = await measure(tunnel, service, work)
                .catch((err) => ({ why: err.message }));
            results.push({ subject: subject.name, work: work.name, ...result });
            await sleep(REST_MS);
        }
    } finally {
        await tunnel.stop();
        await service.end();
    }
}

const median = (numbers) => {
    const sorted = [...numbers].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
};

// One subject's figures of one work.  `ratio` is how many times as fast we were, round by round.
function rowOf(subject, work, results) {
    const all = (name) => results.filter((r) => r.work === work.name && r.subject === name);
    const mine = all(subject.name);
    const good = mine.filter((r) => r.rate);
    const row = { subject: subject.name, version: subject.version, encrypts: subject.encrypts,
        work: work.name, unit: work.moves ? 'Gbit/s' : 'requests/s' };
    if (!good.length) return { ...row, why: subject.why ?? mine.at(-1)?.why };
    const of = (what) => median(good.map((r) => r[what]));
    const rates = good.map((r) => r.rate);
    const ratios = all(OURS).map((r, i) => r.rate / mine[i]?.rate).filter(Number.isFinite);
    return { ...row, rate: of('rate'), least: Math.min(...rates), most: Math.max(...rates), ratios,
        ratio: ratios.length ? median(ratios) : undefined, relay: of('relay'),
        client: of('client'), failed: mine.length - good.length };
}

const line = (cells) => cells.map((cell, i) => (i === 0 ? cell.padEnd(22)
    : String(cell ?? '').padStart([0, 5, 10, 10, 10, 10, 12, 12][i]))).join(' ');

function print(rows) {
    for (const work of works) {
        const unit = work.moves ? 'Gbit/s' : 'a second';
        const cpu = work.moves ? 's/GB' : 'us/request';
        const digits = work.moves ? 2 : 0;
        console.log('\n' + line([work.name, 'TLS', unit, 'least', 'most', 'rvpn/this', 'relay CPU',
            'client CPU']) + `  (CPU in ${cpu})`);
        for (const row of rows.filter((r) => r.work === work.name)) {
            const per = (seconds) => (work.moves ? seconds.toFixed(2) : (seconds * 1e6).toFixed(1));
            if (row.why) console.log(`${row.subject.padEnd(22)} none: ${row.why}`);
            else console.log(line([row.subject, row.encrypts ? 'yes' : '-',
                ...[row.rate, row.least, row.most].map((n) => n.toFixed(digits)),
                row.ratio?.toFixed(2), per(row.relay), per(row.client)]) +
                (row.failed ? `  (failed ${row.failed} times)` : ''));
        }
    }
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
const found = JSON.parse(readFileSync(path.join(tree, 'build/bench/peers.json')));
const wanted = subjects.filter(({ name }) => !ONLY.length || ONLY.some((part) => name.includes(part)))
    .map((subject) => ({ ...subject, ...found[subject.name] }));
const about = machine();
console.log(Object.entries(about).map(([k, v]) => `${k} ${v}`).join(', '));
console.log(`ROUNDS=${ROUNDS} EACH=${SECONDS} bench/run.sh tunnels`);
const present = wanted.filter(({ why }) => !why);
for (const { name, version } of present) if (version) console.log(`  ${name}: ${version}`);
const results = [];
for (let i = 0; i < ROUNDS; i++)
    for (let k = 0; k < present.length; k++) { // nobody is always first
        const subject = present[(k + i) % present.length];
        await round(subject, path.join(folder, `${i}-${k}`), results).catch((err) =>
            works.forEach((work) => results.push({ subject: subject.name, work: work.name,
                why: err.message })));
    }
const rows = works.flatMap((work) => wanted.map((subject) => rowOf(subject, work, results)));
print(rows);
mkdirSync(path.join(tree, 'build/bench'), { recursive: true });
writeFileSync(path.join(tree, 'build/bench/tunnels.json'),
    JSON.stringify({ machine: about, rounds: ROUNDS, seconds: SECONDS, rows }));
process.exit(0);
