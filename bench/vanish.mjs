// How soon a machine is missed that goes without a word: from one moment on all its packets are
// dropped, both ways.  Seconds until the relay has closed its tunnel or its stream, with the
// configuration as it comes.  The cases run side by side, each with a relay, a device and a visitor
// of its own.  Needs a network namespace: see run.sh.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { forkDevice, patternAt, request, smallRequest } from './device.mjs';
import { HOST, machine, sleep, startRelay } from './process.mjs';

const RELAY = '127.0.0.1';
const BULK = 2 ** 33; // more than anybody waits for
const MOST_MS = 300_000;
const SETTLE_MS = 2000;

function visit(port, from, ask, { reads = true } = {}) {
    const socket = net.connect({ port, host: RELAY, localAddress: from });
    socket.on('error', () => {});
    socket.write(ask);
    if (reads) socket.resume();
    return socket;
}

function write(socket) {
    let at = 0;
    const pump = () => {
        while (!socket.destroyed && socket.write(patternAt(at, 65536))) at += 65536;
        at += 65536;
    };
    socket.on('drain', pump);
    pump();
}

// Each: who goes, what the visitor does before, and which event of the log says that it was missed.
const cases = [
    { name: 'device, idle', goes: 'device', event: 'tunnel_end', visitor: () => {} },
    { name: 'device, in an upload', goes: 'device', event: 'tunnel_end',
        visitor: (port, from) => write(visit(port, from, request(HOST, 'write', BULK, 65536))) },
    { name: 'device, in a download', goes: 'device', event: 'tunnel_end',
        visitor: (port, from) => visit(port, from, request(HOST, 'read', BULK, 65536)) },
    { name: 'device, held by a stalled visitor', goes: 'device', event: 'tunnel_end', obeys: false,
        flags: ['--visitor-stall', '1h'],
        visitor: (port, from) => visit(port, from, request(HOST, 'read', BULK, 65536),
            { reads: false }) },
    { name: 'visitor, idle', goes: 'visitor', event: 'stream_end',
        visitor: (port, from) => visit(port, from, smallRequest(HOST)) },
    { name: 'visitor, in an upload', goes: 'visitor', event: 'stream_end',
        visitor: (port, from) => write(visit(port, from, request(HOST, 'write', BULK, 65536))) },
    { name: 'visitor, in a download', goes: 'visitor', event: 'stream_end',
        visitor: (port, from) => visit(port, from, request(HOST, 'read', BULK, 65536)) },
];

function vanish(address) {
    for (const way of ['-s', '-d'])
        execFileSync('iptables', ['-A', 'INPUT', '-i', 'lo', way, address, '-j', 'DROP']);
}

async function missed(folder, index, one) {
    const addresses = { device: `127.0.1.${index + 1}`, visitor: `127.0.2.${index + 1}` };
    const relay = await startRelay(path.join(folder, String(index)), 1, one.flags);
    const { obeys = true } = one;
    await forkDevice(relay, { obeys, more: { localAddress: addresses.device } });
    one.visitor(relay.port, addresses.visitor);
    await sleep(SETTLE_MS);
    const from = performance.now();
    const line = new RegExp(` ${one.event} .*`);
    vanish(addresses[one.goes]);
    while (!line.test(relay.child.text) && performance.now() - from < MOST_MS) await sleep(50);
    const why = / why=(\S+)/.exec(line.exec(relay.child.text) ?? '')?.[1] ?? 'never';
    console.log(`${one.name.padEnd(34)} missed after ${((performance.now() - from) / 1000).toFixed(1)
        .padStart(6)} s, why=${why}`);
    return why !== 'never';
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
console.log(Object.entries(machine()).map(([k, v]) => `${k} ${v}`).join(', '));
console.log('bench/run.sh vanish');
const found = await Promise.all(cases.map((one, i) => missed(folder, i, one)));
console.log(`found=${found.filter(Boolean).length}/${cases.length}`);
process.exit(found.every(Boolean) ? 0 : 1);
