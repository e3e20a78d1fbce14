// Downloads and uploads while the network loses packets: each packet of loopback, between visitors,
// relay and device alike, is dropped with a probability.  All that arrives is compared with what was
// sent; a byte that is missing counts as one that is wrong.  Needs a network namespace: see run.sh.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createHash } from 'node:crypto';
import { forkDevice, patternAt, request } from './device.mjs';
import { HOST, machine, startRelay, within } from './process.mjs';

const CHUNK = 65536;
const VISITORS = 4; // of each direction, at once
const MOST_MS = 300_000;
const losses = [
    { share: 0.01, bytes: Number(process.env.BYTES ?? 256 * 2 ** 20) },
    { share: 0.05, bytes: Number(process.env.BYTES ?? 128 * 2 ** 20) },
];

const rule = (verb, share) => execFileSync('iptables', [verb, 'INPUT', '-i', 'lo', '-m', 'statistic',
    '--mode', 'random', '--probability', String(share), '-j', 'DROP']);

// Packets dropped so far.
const dropped = () => Number(/^ *(\d+) .*DROP/m.exec(
    execFileSync('iptables', ['-L', 'INPUT', '-v', '-x', '-n']).toString())[1]);

function sha256(bytes) {
    const hash = createHash('sha256');
    for (let at = 0; at < bytes; at += CHUNK)
        hash.update(patternAt(at, Math.min(CHUNK, bytes - at)));
    return hash.digest('hex');
}

// Gives {bytes, corrupt}; what is lost when it breaks off is corrupt too.
function download(port, bytes) {
    return new Promise((resolve) => {
        const socket = net.connect({ port, host: '127.0.0.1' });
        const hash = createHash('sha256');
        let head = '';
        let at = 0;
        let wrong = 0;
        const take = (data) => {
            hash.update(data);
            const due = patternAt(at, data.length);
            if (!data.equals(due)) for (let i = 0; i < data.length; i++) wrong += data[i] !== due[i];
            at += data.length;
            if (at >= bytes) socket.destroy();
        };
        socket.write(request(HOST, 'read', bytes, CHUNK));
        socket.on('data', (data) => {
            if (head.endsWith('\r\n\r\n')) return take(data);
            const text = data.toString('latin1');
            const end = (head + text).indexOf('\r\n\r\n') + 4;
            if (end < 4) return (head += text);
            const skip = end - head.length;
            head = (head + text).slice(0, end);
            if (skip < data.length) take(data.subarray(skip));
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve({ bytes: at, corrupt: wrong + Math.abs(bytes - at),
            sha256: hash.digest('hex') }));
    });
}

// The device compares each byte and says ok at the end, or ends itself.
function upload(port, bytes) {
    return new Promise((resolve) => {
        const socket = net.connect({ port, host: '127.0.0.1' });
        let answer = '';
        let at = 0;
        const pump = () => {
            while (at < bytes) {
                const len = Math.min(CHUNK, bytes - at);
                at += len;
                if (!socket.write(patternAt(at - len, len))) return;
            }
        };
        socket.write(request(HOST, 'write', bytes, CHUNK));
        socket.on('drain', pump);
        socket.on('data', (data) => {
            answer += data;
            if (answer.endsWith('\r\n\r\nok')) socket.destroy();
        });
        socket.on('error', () => {});
        socket.on('close', () => resolve({ bytes: at,
            corrupt: answer.endsWith('\r\n\r\nok') ? 0 : bytes }));
        pump();
    });
}

async function run(relay, { share, bytes }) {
    rule('-I', share);
    let corrupt = 0;
    for (const [name, one] of Object.entries({ download, upload })) {
        const from = performance.now();
        const before = dropped();
        const all = await within(Promise.all(Array.from({ length: VISITORS }, () =>
            one(relay.port, bytes))), name, MOST_MS);
        const seconds = (performance.now() - from) / 1000;
        const wrong = all.reduce((sum, r) => sum + r.corrupt, 0);
        const total = all.reduce((sum, r) => sum + r.bytes, 0);
        const sums = all.filter((r) => r.sha256).map((r) => r.sha256);
        const same = sums.filter((sum) => sum === sha256(bytes)).length;
        console.log(`loss=${share * 100}% ${name.padEnd(8)} visitors=${VISITORS} bytes=${total} ` +
            `seconds=${seconds.toFixed(1)} MB/s=${(total / seconds / 1e6).toFixed(2)} ` +
            `dropped=${dropped() - before} ${sums.length ? `sha256_same=${same}/${VISITORS} ` : ''}corrupt=${wrong}`);
        corrupt += wrong;
    }
    rule('-D', share);
    return corrupt;
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
console.log(Object.entries(machine()).map(([k, v]) => `${k} ${v}`).join(', '));
console.log('bench/run.sh loss');
const relay = await startRelay(folder, 2);
await forkDevice(relay);
let corrupt = 0;
for (const loss of losses) corrupt += await run(relay, loss);
console.log(`corrupt=${corrupt}`);
process.exit(corrupt ? 1 : 0);
