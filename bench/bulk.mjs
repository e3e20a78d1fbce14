// What the relay costs beside HAProxy terminating TLS to TCP: CPU seconds (user and system) per GB,
// and microseconds per small request; both in the same run, round by round.  See run.sh.
//
// A device in Node that masks is slower than the TLS end beside HAProxy, so that the relay wakes up
// more often and to colder caches.  "fast device" masks with zeros and keeps that end's pace; the
// relay's own work is the same.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ANSWER_BYTES, Device, direct, request, smallRequest } from './device.mjs';
import { HOST, cpuSeconds, freePort, machine, peakBytes, resetPeak, startHaproxy, startPump,
    startRelay, tree, within } from './process.mjs';

const BYTES = Number(process.env.BYTES ?? 1e9);
const ROUNDS = Number(process.env.ROUNDS ?? 5);
const REQUESTS = Number(process.env.REQUESTS ?? 40_000);
const CONNECTIONS = 64;
const CHUNKS = [16384, 65536];
const TRANSFER_MS = 60_000;
const TLS = { ciphers: 'TLS_AES_128_GCM_SHA256', minVersion: 'TLSv1.3' };

// One subject: {name, child, run(work), command, only}.  run() gives the pump that moves the bytes once.

async function relay(folder, name, { workers = 1, saves = false, only } = {}) {
    const r = await startRelay(path.join(folder, name), workers);
    const device = await Device.open({ url: r.url, token: r.token, saves,
        tls: { ...TLS, ca: r.ca } });
    const run = ({ what, bytes, chunk, requests }) => {
        const goal = what === 'ask'
            ? [smallRequest(HOST), 'ask', bytes, chunk, requests]
            : [request(HOST, what, bytes, chunk), ...(what === 'read' ? ['skip-head'] : []),
                what, bytes, chunk];
        return startPump(['connect', r.port, 'say', ...goal]);
    };
    return { ...r, name, run, only, cipher: device.cipher };
}

async function haproxy(folder, name, relay, bufsize) {
    const backend = await freePort();
    const h = await startHaproxy(folder, name, { state: relay.state, backend, bufsize });
    const options = { ...TLS, ca: relay.ca };
    const run = async ({ what, bytes, chunk, requests }) => {
        const goal = what === 'ask' ? [smallRequest(HOST), 'ask', bytes, chunk, requests]
            : ['', what, bytes, chunk];
        const pump = startPump(['listen', backend, 'say', ...goal]);
        await pump.ready;
        const count = what === 'ask' ? chunk : 1;
        const ends = Array.from({ length: count }, () =>
            direct({ port: h.port, what, bytes, chunk, options }));
        pump.done.then(() => {
            h.cipher = ends[0].cipher;
            ends.forEach((end) => end.destroy());
        });
        return pump;
    };
    return Object.assign(h, { name, run });
}

async function measure(subject, work) {
    resetPeak(subject.child);
    const pump = await subject.run(work);
    await Promise.race([pump.moves, pump.done]);
    const from = cpuSeconds(subject.child);
    const seconds = await within(pump.done, `${subject.name} ${work.name}`, TRANSFER_MS);
    const cpu = cpuSeconds(subject.child) - from;
    const per = work.what === 'ask' ? (cpu / work.requests) * 1e6 : cpu / (work.bytes / 1e9);
    return { subject: subject.name, work: work.name, per, cpu, seconds,
        peak: peakBytes(subject.child) };
}

const works = [
    ...CHUNKS.map((chunk) => ({ name: `to visitor, ${chunk >> 10} KiB writes`, what: 'read',
        bytes: BYTES, chunk })),
    ...CHUNKS.map((chunk) => ({ name: `to device, ${chunk >> 10} KiB writes`, what: 'write',
        bytes: BYTES, chunk })),
    { name: `small requests, ${CONNECTIONS} at once`, what: 'ask', bytes: ANSWER_BYTES,
        chunk: CONNECTIONS, requests: REQUESTS },
];

function median(numbers) {
    const sorted = [...numbers].sort((a, b) => a - b);
    const half = sorted.length >> 1;
    return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

// One line for each work and subject: median, spread, and what the relay's rows (`bases`) are of
// it, round by round.
function summarize(results, names, bases) {
    const of = (work, name) => results.filter((r) => r.work === work.name && r.subject === name);
    const row = (work, name) => {
        const mine = of(work, name);
        const all = mine.map((r) => r.per);
        const ratios = bases.map((base) => of(work, base).map((b, i) => b.per / all[i]));
        return { work: work.name, subject: name, unit: work.what === 'ask' ? 'us/request' : 's/GB',
            median: median(all), least: Math.min(...all), most: Math.max(...all), ratios,
            ratio: ratios.map((r) => (r.length ? median(r) : undefined)),
            seconds: median(mine.map((r) => r.seconds)),
            peakMiB: Math.max(...mine.map((r) => r.peak)) / 2 ** 20 };
    };
    return works.flatMap((work) =>
        names.filter((name) => of(work, name).length).map((name) => row(work, name)));
}

function print(rows) {
    let work;
    for (const row of rows) {
        if (row.work !== work) {
            work = row.work;
            console.log('\n' + line([work, 'CPU', 'median', 'least', 'most', 'rvpn/this', 'fast/this',
                'wall s', 'RSS MiB', 'rvpn/this of each round']));
        }
        console.log(line([`  ${row.subject}`, row.unit, row.median.toFixed(3), row.least.toFixed(3),
            row.most.toFixed(3), ...row.ratio.map((r) => r?.toFixed(2) ?? ''),
            row.seconds.toFixed(2), row.peakMiB.toFixed(1),
            row.ratios[0].map((r) => r.toFixed(2)).join(' ')]));
    }
}

function line(cells) {
    const widths = [30, 10, 7, 7, 7, 9, 9, 7, 8];
    return cells.map((c, i) => (i === 0 ? c.padEnd(30) : c.padStart(widths[i] ?? 0))).join(' ');
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
process.on('unhandledRejection', (err) => {
    console.error(err);
    process.exit(1);
});

const one = await relay(folder, 'rvpn');
const fast = await relay(folder, 'rvpn, fast device', { saves: true, only: 'read' });
const subjects = [
    one,
    fast,
    await haproxy(folder, 'haproxy 16K buffers', one),
    await haproxy(folder, 'haproxy 256K buffers', one, 262144),
    await relay(folder, 'rvpn, 2 workers', { workers: 2 }),
];
const results = [];
for (let round = 0; round < ROUNDS; round++)
    for (const work of works)
        for (let i = 0; i < subjects.length; i++) {
            const subject = subjects[(i + round) % subjects.length]; // nobody is always first
            if (subject.only && subject.only !== work.what) continue;
            const result = { round, ...(await measure(subject, work)) };
            results.push(result);
            process.stderr.write(`${round + 1}/${ROUNDS} ${work.name}: ${subject.name} ` +
                `${result.per.toFixed(3)}\n`);
        }

const about = { machine: machine(), bytes: BYTES, rounds: ROUNDS, requests: REQUESTS,
    command: `BYTES=${BYTES} ROUNDS=${ROUNDS} REQUESTS=${REQUESTS} bench/run.sh`,
    subjects: subjects.map(({ name, command, cipher }) => ({ name, command, cipher })) };
const rows = summarize(results, subjects.map((s) => s.name), [one.name, fast.name]);
const file = path.join(tree, 'build/bench/bulk.json');
mkdirSync(path.dirname(file), { recursive: true });
writeFileSync(file, JSON.stringify({ ...about, rows, results }, null, 1));
console.log(Object.entries(about.machine).map(([k, v]) => `${k} ${v}`).join(', '));
console.log(about.command);
for (const s of about.subjects) console.log(`  ${s.name}: ${s.command}, ${s.cipher}`);
print(rows);
console.log(`\nall figures: ${path.relative(process.cwd(), file)}`);
process.exit(0);
