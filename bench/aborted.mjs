// What downloads leave behind that visitors break off: some read and reset, some close, some never
// read; the relay's resident bytes and descriptors after each round.  The first one warms it up.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Device, request } from './device.mjs';
import { HOST, machine, rssBytes, startRelay, tree, within } from './process.mjs';

const TIMES = Number(process.env.TIMES ?? 1000); // a round
const ROUNDS = Number(process.env.ROUNDS ?? 2);
const AT_ONCE = 50;
const BYTES = 2 ** 30; // asked for; none gets it
const MIB = 2 ** 20;

const fds = ({ pid }) => readdirSync(`/proc/${pid}/fd`).length;
const rest = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// How a visitor breaks off: after so many bytes, with a reset or a FIN.
const manners = [
    { bytes: 1, how: 'resetAndDestroy' },
    { bytes: 100_000, how: 'destroy' },
    { bytes: 1_000_000, how: 'resetAndDestroy' },
    { bytes: 0, how: 'resetAndDestroy' }, // reads nothing: all of it waits in the relay
];

async function abort(port, { bytes, how }) {
    const socket = net.connect({ port, host: '127.0.0.1' });
    let seen = 0;
    socket.on('error', () => {});
    const enough = new Promise((resolve) => {
        if (bytes === 0) socket.once('connect', () => setTimeout(resolve, 100));
        else socket.on('data', (data) => (seen += data.length) >= bytes && resolve());
    });
    socket.write(request(HOST, 'read', BYTES, 65536));
    await within(enough, `${bytes} bytes`, 60_000);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    socket[how]();
    await closed;
}

async function round(relay) {
    let left = TIMES;
    const one = async () => {
        while (left-- > 0) await abort(relay.port, manners[left % manners.length]);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, one));
    await rest(2500); // it gives spare chunks back by then
    return { rss: rssBytes(relay.child), fds: fds(relay.child) };
}

async function run(folder, obeys) {
    const relay = await startRelay(folder, 1);
    const device = await Device.open({ url: relay.url, token: relay.token, obeys,
        saves: true, tls: { ca: relay.ca } });
    const rounds = [{ rss: rssBytes(relay.child), fds: fds(relay.child) }];
    for (let i = 0; i <= ROUNDS; i++) rounds.push(await round(relay));
    device.close();
    relay.child.kill('SIGKILL');
    return { obeys, rounds };
}

const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
const about = machine();
console.log(Object.entries(about).map(([k, v]) => `${k} ${v}`).join(', '));
console.log(`TIMES=${TIMES} ROUNDS=${ROUNDS} bench/run.sh aborted`);
const runs = [];
for (const obeys of [true, false]) {
    const result = await run(path.join(folder, String(obeys)), obeys);
    const [idle, warm, ...others] = result.rounds;
    const mib = (r) => (r.rss / MIB).toFixed(1);
    console.log(`${obeys ? 'obeys pause  ' : 'knows no pause'.padEnd(13)} idle ${mib(idle)} MiB, ` +
        `after ${TIMES} ${mib(warm)} MiB, after as many more each ${others.map(mib).join(' ')} MiB; ` +
        `descriptors ${result.rounds.map((r) => r.fds).join(' ')}`);
    runs.push(result);
}
mkdirSync(path.join(tree, 'build/bench'), { recursive: true });
writeFileSync(path.join(tree, 'build/bench/aborted.json'), JSON.stringify({ machine: about, runs }));
process.exit(0);
