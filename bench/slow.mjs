// What slow attacks do to the others: CONNECTIONS at once that do as little as they can to be kept,
// by slowhttptest and by our own means.  For each kind: how long until the relay has its descriptors
// back, what a connection costs it, and what a good visitor feels meanwhile, who asks through a
// device for 200 bytes, on a connection that stays and on a new one each time.  See run.sh.
import { fork } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';
import { forkDevice } from './device.mjs';
import { HOST, adopt, descriptors, machine, quantile, rssBytes, sleep, start, startRelay,
    tree } from './process.mjs';
import { askVisitor, forkVisitor } from './visitor.mjs';

const CONNECTIONS = Number(process.env.CONNECTIONS ?? 1000);
const ALL = CONNECTIONS * 0.8; // the first may be gone before the last is in
const ALONE_MS = 4000;
const LOOK_MS = 20;
const MOST_MS = 150_000; // then whoever is left stays
const SPARE = 8; // descriptors that are good visitors'
const ATTACKER = '127.0.0.2'; // where our own come from; slowhttptest cannot say
const RELAY = '127.0.0.1';
const self = fileURLToPath(import.meta.url);

// The attackers' own part: {what a connection does once it is there}, on plain TCP or inside TLS.
const drip = (socket, byte) => {
    const timer = setInterval(() => socket.write(byte), 1000);
    socket.on('close', () => clearInterval(timer));
};
const upgrade = (port) => `GET / HTTP/1.1\r\nHost: ${RELAY}:${port}\r\nConnection: Upgrade\r\n` +
    'Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
    `Sec-WebSocket-Key: ${Buffer.alloc(16).toString('base64')}\r\n\r\n`;
const own = {
    silent: { plain: () => {} },
    'half hello': { plain: (s, { hello }) => s.write(hello.subarray(0, hello.length >> 1)) },
    hello: { plain: (s, { hello }) => s.write(hello) },
    'hello, drip': {
        plain: (s, { hello }) => {
            s.write(Buffer.concat([hello, Buffer.from('1703034000', 'hex')]));
            drip(s, Buffer.alloc(1));
        },
    },
    'TLS, silent': { secure: () => {} },
    'TLS, slow head': {
        secure: (s) => {
            s.write(`GET / HTTP/1.1\r\nHost: ${RELAY}\r\nX: `);
            drip(s, 'x');
        },
    },
    websocket: { secure: (s, { port }) => s.write(upgrade(port)) },
    refused: { plain: (s) => s.write('GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n') },
};

// Connects, and resolves when it has done what it does.  It never closes by itself.
function connectOne(kind, where) {
    return new Promise((resolve) => {
        const options = { port: where.port, host: RELAY, localAddress: ATTACKER,
            allowHalfOpen: true, rejectUnauthorized: false };
        const does = kind.plain ?? kind.secure;
        const socket = kind.plain ? net.connect(options) : tls.connect(options);
        socket.once(kind.plain ? 'connect' : 'secureConnect', () => {
            does(socket, where);
            resolve();
        });
        socket.on('error', resolve);
        socket.resume();
    });
}

async function attack({ name, port, count, hello }) {
    const where = { port, hello: Buffer.from(hello, 'base64') };
    let made = 0;
    const one = async () => {
        while (made++ < count) await connectOne(own[name], where);
    };
    await Promise.all(Array.from({ length: 50 }, one));
    process.send('in');
}

function forkAttack(message) {
    const child = fork(self, ['attack'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    adopt(child);
    child.send(message);
    return child;
}

// What a TLS visitor of `name` sends first.
async function clientHello(name) {
    const server = net.createServer();
    await new Promise((resolve) => server.listen(0, RELAY, resolve));
    const hello = new Promise((resolve) => server.once('connection', (s) => s.once('data', resolve)));
    const socket = tls.connect({ port: server.address().port, host: RELAY, servername: name });
    socket.on('error', () => {});
    const bytes = await hello;
    socket.destroy();
    server.close();
    return bytes.toString('base64');
}

function slowhttptest(port, { how, host, page = '/' }) {
    const count = String(CONNECTIONS);
    return start('slowhttptest', ['-c', count, '-r', count, '-l', String(MOST_MS / 1000), '-i', '1',
        ...how, '-p', '30', '-v', '0', '-u', `http://${host}:${port}${page}`]);
}

const read = ['-X', '-w', '64', '-y', '512', '-n', '1', '-z', '32', '-k', '10'];
const kinds = [
    { name: '-H, own page', how: ['-H'], host: RELAY },
    { name: '-H, a device', how: ['-H'], host: HOST },
    { name: '-B, own page', how: ['-B', '-s', '8192'], host: RELAY },
    { name: '-B, a device', how: ['-B', '-s', '8192'], host: HOST, most: 20_000 },
    { name: '-X, own page', how: read, host: RELAY, page: '/demo.css' },
    ...Object.keys(own).map((name) => ({ name, own: name })),
    // The last: what it made the relay hold stays in malloc's hands for a while.
    { name: '-X, a device', how: read.slice(0, -2), host: HOST, page: '/read/4194304/65536' },
];

// Looks on until the attackers are in and out again.
async function lookOn(child, base, most) {
    const from = performance.now();
    const seen = { most: base.fds, rss: base.rss, inAt: undefined, outAt: undefined };
    while (performance.now() - from < most) {
        const now = performance.now();
        const fds = descriptors(child);
        seen.rss = Math.max(seen.rss, rssBytes(child));
        seen.most = Math.max(seen.most, fds);
        if (fds >= base.fds + ALL) seen.inAt ??= now;
        if (seen.inAt && fds <= base.fds + SPARE) {
            seen.outAt = now;
            break;
        }
        await sleep(LOOK_MS);
    }
    return seen;
}

async function measure(relay, visitor, hello, kind) {
    await askVisitor(visitor);
    await sleep(ALONE_MS);
    const alone = await askVisitor(visitor);
    const base = { fds: descriptors(relay.child), rss: rssBytes(relay.child) };
    const attacker = kind.own
        ? forkAttack({ name: kind.own, port: relay.port, count: CONNECTIONS, hello })
        : slowhttptest(relay.port, kind);
    const seen = await lookOn(relay.child, base, kind.most ?? MOST_MS);
    const beside = await askVisitor(visitor);
    attacker.kill('SIGKILL');
    while (descriptors(relay.child) > base.fds + SPARE) await sleep(100);
    return { kind: kind.name, connections: seen.most - base.fds, alone, beside,
        reaped: seen.outAt && (seen.outAt - seen.inAt) / 1000,
        kibEach: (seen.rss - base.rss) / 1024 / (seen.most - base.fds) };
}

function line(cells) {
    const widths = [16, 6, 9, 15, 15, 15, 15, 7, 8];
    return cells.map((c, i) => (i ? String(c).padStart(widths[i]) : c.padEnd(widths[i]))).join(' ');
}

function print(r) {
    const pair = (ms) => [0.5, 0.99].map((q) => quantile(ms, q).toFixed(2)).join(' / ');
    console.log(line([r.kind, r.connections, r.reaped?.toFixed(1) ?? 'stays', pair(r.alone.kept),
        pair(r.beside.kept), pair(r.alone.fresh), pair(r.beside.fresh), r.beside.failed,
        r.kibEach.toFixed(1)]));
}

async function main() {
    const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-bench-'));
    process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
    for (const name of ['SIGINT', 'SIGTERM']) process.on(name, () => process.exit(1));
    const relay = await startRelay(folder, 2);
    await forkDevice(relay);
    const visitor = await forkVisitor(relay.port);
    const hello = await clientHello('localhost');
    console.log(Object.entries(machine()).map(([k, v]) => `${k} ${v}`).join(', '));
    console.log(`CONNECTIONS=${CONNECTIONS} bench/run.sh slow   (${relay.command})`);
    console.log('times of good visitors: p50 / p99, ms; kept: on one connection; fresh: on a new one');
    console.log(line(['attack', 'conns', 'reaped s', 'kept, alone', 'kept, beside', 'fresh, alone',
        'fresh, beside', 'failed', 'KiB each']));
    const results = [];
    const only = process.env.ONLY?.split(';');
    for (const kind of kinds.filter(({ name }) => !only || only.includes(name))) {
        const result = await measure(relay, visitor, hello, kind);
        print(result);
        results.push(result);
    }
    const file = path.join(tree, 'build/bench/slow.json');
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, JSON.stringify({ machine: machine(), results }));
    process.exit(0);
}

if (process.argv[2] === 'attack') {
    process.on('disconnect', () => process.exit(0));
    process.once('message', attack);
} else {
    await main();
}
