// How much memory a slow visitor costs: a 1 GiB download read at 1 MB/s beside five others at full
// speed, all through one device; the relay's resident bytes ten times a second.  Once with a device
// that obeys pause, once with one that does not: then TCP alone holds it, and all its visitors.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { forkDevice, request } from './device.mjs';
import { HOST, machine, rssBytes, startPump, startRelay, tree } from './process.mjs';

const SECONDS = Number(process.env.SECONDS ?? 30);
const SLOW_RATE = 1e6; // bytes a second
const SLOW_BYTES = 2 ** 30;
const FAST = 5;
const FAST_BYTES = 16 * 2 ** 20; // of one download; another follows
const CHUNK = 65536;
const MIB = 2 ** 20;

// Reads SLOW_RATE bytes a second.
function slowVisitor(port) {
    const socket = net.connect({ port, host: '127.0.0.1' });
    const visitor = { socket, bytes: 0 };
    const from = performance.now();
    socket.write(request(HOST, 'read', SLOW_BYTES, CHUNK));
    socket.on('data', (data) => {
        visitor.bytes += data.length;
        const due = from + (visitor.bytes / SLOW_RATE) * 1000;
        socket.pause();
        setTimeout(() => socket.resume(), Math.max(0, due - performance.now()));
    });
    socket.on('error', (err) => (visitor.error = err.code));
    socket.on('close', () => (visitor.error ??= visitor.isOver ? undefined : 'closed'));
    return visitor;
}

// Downloads again and again until told; the contents are compared by pump.c.
async function fastVisitor(port, state) {
    while (!state.isOver) {
        const args = [request(HOST, 'read', FAST_BYTES, CHUNK), 'skip-head', 'read', FAST_BYTES, CHUNK];
        const pump = startPump(['connect', port, 'say', ...args]);
        const over = new Promise((resolve) => state.over.push(resolve));
        const end = await Promise.race([pump.done, over]);
        if (end === 'over') {
            pump.done.catch(() => {}); // it is we who end it
            pump.kill('SIGKILL');
        } else {
            state.bytes += FAST_BYTES;
        }
    }
}

async function run(folder, obeys) {
    const relay = await startRelay(folder, 1);
    const device = await forkDevice(relay, { obeys });
    const samples = [rssBytes(relay.child)];
    const watch = setInterval(() => samples.push(rssBytes(relay.child)), 100);
    const slow = slowVisitor(relay.port);
    const state = { bytes: 0, over: [] };
    const fast = Array.from({ length: FAST }, () => fastVisitor(relay.port, state));
    await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
    state.isOver = slow.isOver = true;
    const slowBytes = slow.bytes;
    const trouble = slow.error;
    const pauses = await device.pauses();
    state.over.forEach((resolve) => resolve('over'));
    slow.socket.destroy();
    await Promise.all(fast);
    await new Promise((resolve) => setTimeout(resolve, 2500)); // it gives spare chunks back by then
    clearInterval(watch);
    const after = rssBytes(relay.child);
    device.stop();
    relay.child.kill('SIGKILL');
    return { obeys, seconds: SECONDS, began: samples[0], most: Math.max(...samples), after, slowBytes,
        fastBytes: state.bytes, pauses, trouble, samples };
}

function print(r) {
    const mib = (bytes) => (bytes / MIB).toFixed(1).padStart(7);
    console.log(`${r.obeys ? 'obeys pause  ' : 'knows no pause'.padEnd(13)} began ${mib(r.began)} MiB, ` +
        `most ${mib(r.most)} (+${mib(r.most - r.began).trim()}), after ${mib(r.after)}; slow visitor ` +
        `${(r.slowBytes / r.seconds / 1e6).toFixed(2)} MB/s${r.trouble ? ` (${r.trouble})` : ''}, ` +
        `${FAST} fast ones ${(r.fastBytes / r.seconds / 1e6).toFixed(0)} MB/s, ${r.pauses} pauses`);
    const second = (i) => r.samples.slice(i * 10, i * 10 + 10);
    const line = Array.from({ length: Math.ceil(r.samples.length / 10) }, (_, i) =>
        (Math.max(...second(i)) / MIB).toFixed(0));
    console.log(`  most of each second, MiB: ${line.join(' ')}`);
}

async function main() {
    const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
    const about = machine();
    console.log(Object.entries(about).map(([k, v]) => `${k} ${v}`).join(', '));
    console.log(`SECONDS=${SECONDS} bench/run.sh memory`);
    const runs = [];
    for (const obeys of [true, false]) {
        const result = await run(path.join(folder, String(obeys)), obeys);
        print(result);
        runs.push(result);
    }
    const file = path.join(tree, 'build/bench/memory.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ machine: about, runs }));
    process.exit(0);
}

await main();
