// Visitors who take their time, to hold what others need: each phase of a connection has an end, and
// whoever is in no hurry to misbehave is served meanwhile.
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import net from 'node:net';
import { clientHello } from './lib/client_hello.mjs';
import { RawWebSocket, connect } from './lib/raw_ws.mjs';
import { slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { until } from './lib/wait.mjs';
import { HOST, get, getTls, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const MANY = 48;
const DRIP_MS = 50;
const SERVE_MS = 200;
const times = (make) => Promise.all(Array.from({ length: MANY }, (_, i) => make(i)));

const descriptors = (relay) => readdirSync(`/proc/${relay.process.pid}/fd`).length;

// Until the relay has closed all that has come since `before`, though the other ends stay.  Others
// are served meanwhile.
async function reaped(w, before, what) {
    let served = -Infinity;
    await until(async () => {
        if (performance.now() - served > SERVE_MS) {
            const answers = await Promise.all([get(w), getTls(w)]);
            answers.forEach((answer) => assert.equal(answer.status, 200));
            served = performance.now();
        }
        return descriptors(w.relay) <= before;
    }, what, 20_000 * slowness);
}

// One byte after the other, for as long as anybody takes them.
function drip(scene, socket, bytes) {
    let at = 0;
    const timer = setInterval(() => {
        if (socket.destroyed || at === bytes.length) clearInterval(timer);
        else socket.write(bytes.subarray(at, ++at));
    }, DRIP_MS);
    scene.after(() => clearInterval(timer));
}

// A visitor that does not close when the relay does.
async function stubborn(scene, w, first = '') {
    const visitor = await Visitor.connect({ port: w.relay.port });
    scene.after(() => visitor.destroy());
    if (first.length) await visitor.write(first);
    return visitor;
}

scenario('who does not say in time where to is reaped, and told so where it spoke HTTP',
    async (scene) => {
        const w = await world(scene, 'D', { config: { sniff_timeout: '500ms' } });
        const before = descriptors(w.relay);
        const hello = await clientHello(HOST);
        const firsts = [Buffer.alloc(0), hello.subarray(0, hello.length / 2),
            `GET / HTTP/1.1\r\nHost: ${HOST}\r\n`, 'GET /'];
        const visitors = await times((i) => stubborn(scene, w, firsts[i % 4]));
        visitors.forEach((v, i) => i % 4 && drip(scene, v.socket, Buffer.alloc(1000, 'x')));
        await reaped(w, before, 'an end to the silent');
        for (const [i, v] of visitors.entries()) {
            await v.end();
            if (i % 4 < 2) assert.equal(v.text, '');
            else assert.match(v.text, /^HTTP\/1\.1 408 [^]*Connection: close\r\n/);
        }
    });

scenario('a handshake with the relay, or a request to it, that does not come to an end has one',
    async (scene) => {
        const w = await world(scene, 'D', { config: { handshake_timeout: '1s' } });
        const { relay } = w;
        const before = descriptors(relay);
        const hello = await clientHello(relay.name);
        const body = `POST / HTTP/1.1\r\nHost: ${relay.name}\r\nContent-Length: 1000\r\n\r\n`;
        const secure = async (first) => {
            const socket = await connect({ port: relay.port, ca: relay.ca, servername: relay.name });
            scene.after(() => socket.destroy());
            socket.on('error', () => {});
            socket.on('data', (d) => (socket.text = (socket.text ?? '') + d));
            socket.write(first);
            return socket;
        };
        const made = await times(async (i) => {
            switch (i % 4) {
            case 0: return stubborn(scene, w, hello);
            case 1: {
                const visitor = await stubborn(scene, w, hello);
                drip(scene, visitor.socket, Buffer.concat([Buffer.from('1703030400', 'hex'),
                    Buffer.alloc(1024)]));
                return visitor;
            }
            case 2: {
                const visitor = await stubborn(scene, w, body);
                drip(scene, visitor.socket, Buffer.alloc(900));
                return visitor;
            }
            default: return secure(`GET / HTTP/1.1\r\nHost: ${relay.name}\r\nX: `);
            }
        });
        await reaped(w, before, 'an end to the unfinished');
        for (const [i, { text }] of made.entries())
            if (i % 4 > 1) assert.match(text, /^HTTP\/1\.1 408 /);
    });

scenario('a body that no page wants is refused before it is here', async (scene) => {
    const w = await world(scene, 'D');
    const head = `POST / HTTP/1.1\r\nHost: ${w.relay.name}\r\n`;
    const long = await stubborn(scene, w, `${head}Content-Length: 16385\r\n\r\n`);
    assert.match(await long.end(), /^HTTP\/1\.1 413 /);
    const chunks = await stubborn(scene, w, `${head}Transfer-Encoding: chunked\r\n\r\n`);
    await chunks.write(`8000\r\n${'x'.repeat(20_000)}`);
    assert.match(await chunks.end(), /^HTTP\/1\.1 413 /);
    const { status } = await w.relay.fetch('/', { method: 'POST', body: 'x'.repeat(16_000) });
    assert.equal(status, 200);
});

scenario('a WebSocket without a token is reaped after auth_timeout, and the page\'s that reads nothing',
    async (scene) => {
        const config = { auth_timeout: '500ms', ping_interval: '1s', ping_timeout: '300ms' };
        const w = await world(scene, 'D', { config });
        const before = descriptors(w.relay);
        const upgrade = (path) => [`GET ${path} HTTP/1.1`, `Host: 127.0.0.1:${w.relay.port}`,
            'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
            'Sec-WebSocket-Key: {key}'];
        await times(async (i) => {
            const ws = await RawWebSocket.open({ lines: upgrade(i % 3 ? '/' : '/ws/client'),
                port: w.relay.port, ca: w.relay.ca });
            scene.after(() => ws.destroy());
            // The head of a long message, and then not much of it.
            if (i % 3 === 1)
                drip(scene, ws.socket, Buffer.concat([Buffer.from('82fe400000000000', 'hex'),
                    Buffer.alloc(1000)]));
        });
        await reaped(w, before, 'an end to the silent WebSockets');
    });

// Asks for more than the kernel's buffers hold, and reads none of it, or a little.
async function asksOnly(scene, w, littleBytes) {
    const socket = net.connect({ port: w.relay.port, host: '127.0.0.1' });
    scene.after(() => socket.destroy());
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('connect', resolve));
    const some = `GET /demo.css HTTP/1.1\r\nHost: ${w.relay.name}\r\n\r\n`.repeat(50);
    const asking = setInterval(() => !socket.writableLength && socket.write(some), 10);
    const reading = setInterval(() => littleBytes && socket.read(littleBytes), 200);
    scene.after(() => [asking, reading].forEach(clearInterval));
}

scenario('who asks again and again and takes no answer is cut off', { ms: 60_000 }, async (scene) => {
    const w = await world(scene, 'D', { config: { http_idle: '1s', handshake_timeout: '1s' } });
    const before = descriptors(w.relay);
    await Promise.all(Array.from({ length: 8 }, (_, i) => asksOnly(scene, w, i % 2 ? 16384 : 0)));
    await until(() => descriptors(w.relay) >= before + 8, 'all to be in');
    await reaped(w, before, 'an end to who takes no answer');
});

scenario('who has been refused cannot stay, though it goes on', async (scene) => {
    const w = await world(scene, 'D');
    const before = descriptors(w.relay);
    const visitors = await times(() => stubborn(scene, w,
        'GET / HTTP/1.1\r\nHost: nobody.example\r\n\r\n'));
    visitors.forEach((v) => drip(scene, v.socket, Buffer.alloc(1000, 'x')));
    await reaped(w, before, 'an end to the refused');
    visitors.forEach((v) => assert.match(v.text, /^HTTP\/1\.1 404 /));
});
