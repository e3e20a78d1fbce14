// BYTES up and BYTES down through one tunnel, each compared to the byte with the pattern: more than 32
// bits can count, by default.  What the relay counts, and its resident memory all the while.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { forkDevice, request } from './device.mjs';
import { HOST, binary, machine, peakBytes, resetPeak, rssBytes, startPump,
    startRelay } from './process.mjs';

const BYTES = Number(process.env.BYTES ?? 2 ** 32 + 1);
const CHUNK = 65536;
const MIB = 2 ** 20;

// The first tunnel of GET /api/tunnels.
function countersOf(relay) {
    const token = execFileSync(binary, ['token', '--state', relay.state, '--scope', 'admin']);
    const options = { host: '127.0.0.1', port: relay.port, path: '/api/tunnels', ca: relay.ca,
        headers: { Host: 'localhost', Authorization: `Bearer ${token.toString().trim()}` } };
    return new Promise((resolve, reject) => https.get(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece) => (text += piece));
        answer.on('end', () => resolve(JSON.parse(text).tunnels[0]));
    }).on('error', reject));
}

async function transfer(relay, what) {
    const ask = request(HOST, what, BYTES, CHUNK);
    const before = await countersOf(relay);
    const began = rssBytes(relay.child);
    resetPeak(relay.child);
    const pump = startPump(['connect', relay.port, 'say', ask, ...(what === 'read' ? ['skip-head'] : []),
        what, BYTES, CHUNK]);
    const seconds = await pump.done;
    const most = peakBytes(relay.child);
    const after = await countersOf(relay);
    const counted = (name) => after[name] - before[name];
    const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${BYTES}\r\n\r\n`;
    const due = what === 'read' ? { to_device: ask.length, to_visitor: answer.length + BYTES }
        : { to_device: ask.length + BYTES, to_visitor: 40 };
    const off = Object.keys(due).map((way) => counted(`payload_${way}`) - due[way]);
    console.log(`${what === 'read' ? 'download' : 'upload'} bytes=${BYTES} seconds=${seconds.toFixed(1)} ` +
        `MB/s=${(BYTES / seconds / 1e6).toFixed(0)} rss_began_mib=${(began / MIB).toFixed(1)} ` +
        `rss_grew_mib=${((most - began) / MIB).toFixed(1)} counted_off_by=${off.join(',')}`);
    if (off.some((n) => n !== 0)) process.exitCode = 1;
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
console.log(Object.entries(machine()).map(([k, v]) => `${k} ${v}`).join(', '));
console.log(`BYTES=${BYTES} bench/run.sh big`);
const relay = await startRelay(folder, 1);
await forkDevice(relay);
await transfer(relay, 'write');
await transfer(relay, 'read');
process.exit();
