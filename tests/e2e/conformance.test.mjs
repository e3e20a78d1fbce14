// The relay's own WebSocket and HTTP against the public suites, read in place where they are.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import net from 'node:net';
import { randomBytes } from 'node:crypto';
import { sharedVectors } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { protocolTime } from './lib/wait.mjs';

const autobahn = sharedVectors('ws/autobahn_core_247.json');
const h1spec = sharedVectors('http1/h1spec_cases.json');
const absent = (cases) => (cases ? false : 'the shared vectors are not here');

// Runs `work` over `items`, so many at a time.
async function inParallel(items, width, work) {
    const results = [];
    const queue = items.entries();
    await Promise.all(Array.from({ length: width }, async () => {
        for (const [i, item] of queue) results[i] = await work(item);
    }));
    return results;
}

// A connection as a byte pipe for scripts: send, wait for bytes, wait for the end.
class Pipe {
    static async open(relay, secure) {
        const pipe = new Pipe();
        pipe.got = Buffer.alloc(0);
        pipe.eof = false;
        pipe.wake = () => {};
        await new Promise((resolve, reject) => {
            const where = { port: relay.port, host: '127.0.0.1' };
            pipe.socket = secure
                ? tls.connect({ ...where, ca: relay.ca, servername: '' }, resolve)
                : net.connect(where, resolve);
            pipe.socket.on('error', reject);
        });
        pipe.socket.setNoDelay(true);
        pipe.socket.on('data', (d) => {
            pipe.got = Buffer.concat([pipe.got, d]);
            pipe.wake();
        });
        for (const event of ['end', 'close', 'error'])
            pipe.socket.on(event, () => {
                pipe.eof = true;
                pipe.wake();
            });
        return pipe;
    }

    // Until `done()`, the end, or `ms`.
    async drain(ms, done = () => false) {
        const end = performance.now() + ms;
        while (!this.eof && !done() && performance.now() < end)
            await new Promise((resolve) => {
                const timer = setTimeout(resolve, Math.max(1, end - performance.now()));
                this.wake = () => {
                    clearTimeout(timer);
                    resolve();
                };
            });
    }
}

function parseFrames(bytes) {
    const frames = [];
    for (let at = 0; at + 2 <= bytes.length;) {
        const [first, second] = [bytes[at], bytes[at + 1]];
        let length = second & 127;
        let from = at + 2;
        if (length === 126) {
            if (bytes.length < from + 2) break;
            length = bytes.readUInt16BE(from);
            from += 2;
        } else if (length === 127) {
            if (bytes.length < from + 8) break;
            length = Number(bytes.readBigUInt64BE(from));
            from += 8;
        }
        if (bytes.length < from + length) break;
        frames.push({ fin: first >> 7, op: first & 15, rsv: (first >> 4) & 7, masked: second >> 7,
            payload: bytes.subarray(from, from + length) });
        at = from + length;
    }
    return frames;
}

// Text as text, anything else as hex, as the recorded expectations have it.
function asWritten(payload) {
    const text = payload.toString('utf8');
    return Buffer.from(text).equals(payload) ? text : `0x${payload.toString('hex')}`;
}

function eventsOf(frames) {
    const events = [];
    let message = null;
    let close;
    for (const { fin, op, rsv, masked, payload } of frames) {
        if (rsv || masked) events.push(['BADFRAME']);
        if (op === 1 || op === 2) message = { binary: op === 2, parts: [payload] };
        else if (op === 0 && message) message.parts.push(payload);
        if (op <= 2 && fin && message) {
            events.push(['message', asWritten(Buffer.concat(message.parts)), message.binary]);
            message = null;
        }
        if (op === 9) events.push(['ping', asWritten(payload)]);
        if (op === 10) events.push(['pong', asWritten(payload)]);
        if (op === 8) {
            close = payload.length >= 2 ? payload.readUInt16BE(0) : null;
            break;
        }
    }
    return { events, close };
}

async function replay(relay, secure, { steps }) {
    const pipe = await Pipe.open(relay, secure);
    pipe.socket.write(`GET /ws/echo HTTP/1.1\r\nHost: 127.0.0.1:${relay.port}\r\n` +
        'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
        `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}\r\n\r\n`);
    await pipe.drain(5000, () => pipe.got.includes('\r\n\r\n'));
    const end = pipe.got.indexOf('\r\n\r\n');
    if (!pipe.got.subarray(0, 20).includes(' 101 ')) return { error: `${pipe.got.subarray(0, 80)}` };
    pipe.got = pipe.got.subarray(end + 4);
    let expected = 0;
    for (const [what, value] of steps) {
        if (pipe.eof) break;
        if (what === 'send') pipe.socket.write(Buffer.from(value, 'hex'));
        else if (what === 'wait') await pipe.drain(value * 1000);
        else if (what === 'recv') {
            expected += value.length / 2;
            await pipe.drain(1500, () => pipe.got.length >= expected);
        }
    }
    const isClosed = () => parseFrames(pipe.got).some((f) => f.op === 8);
    await pipe.drain(1000, isClosed);
    if (isClosed()) await pipe.drain(1000);
    pipe.socket.destroy();
    return { ...eventsOf(parseFrames(pipe.got)), eof: pipe.eof };
}

// OK, NON-STRICT, INFORMATIONAL, or what is wrong.
function verdict(test, { error, events, close, eof }) {
    if (error) return `no WebSocket: ${error}`;
    if (test.reference_behavior === 'INFORMATIONAL') return 'INFORMATIONAL';
    const got = JSON.stringify(events);
    const [kind] = Object.entries(test.expected).find(([, list]) => got === JSON.stringify(
        list.filter(([name]) => name !== 'timeout' && name !== 'failedByMe'))) ?? [];
    if (!kind) return `got ${got.slice(0, 200)}`;
    const { closeCode, requireClean } = test.expectedClose;
    if (requireClean && !(close !== undefined && eof)) return `${kind} without a clean close`;
    if (requireClean && closeCode && close !== test.reference_close_code && !closeCode.includes(close))
        return `${kind} closed with ${close}`;
    return kind;
}

for (const secure of [false, true])
    scenario(`WebSocket: 247 recorded cases, ${secure ? 'TLS' : 'plain'}`,
        { ms: 120_000, skip: absent(autobahn) }, async (scene) => {
            const relay = await scene.relay({ config: { echo: true } });
            const verdicts = await inParallel(autobahn, 16, async (test) =>
                [test.id, verdict(test, await replay(relay, secure, test))]);
            const tally = {};
            for (const [, v] of verdicts) tally[v] = (tally[v] ?? 0) + 1;
            const wrong = verdicts.filter(([, v]) => !['OK', 'NON-STRICT', 'INFORMATIONAL'].includes(v));
            scene.t.diagnostic(JSON.stringify(tally));
            assert.deepEqual(wrong, []);
            assert.equal(verdicts.length, 247);
        });

const SILENCE_MS = 1000; // that long without a byte is "no answer yet"

async function h1case(relay, secure, { request, expectedStatus, expectedTimeout }) {
    const pipe = await Pipe.open(relay, secure);
    pipe.socket.write(request);
    if (expectedTimeout) await protocolTime(SILENCE_MS);
    else await pipe.drain(5000, () => pipe.got.includes('\r\n'));
    const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(pipe.got.toString('latin1'))?.[1] ?? -1);
    const { eof } = pipe;
    pipe.socket.destroy();
    if (expectedTimeout) return status === -1 && !eof ? 'ok' : `answered ${status}, end ${eof}`;
    return expectedStatus.some(([low, high]) => status >= low && status <= high) ? 'ok'
        : `status ${status}`;
}

for (const secure of [false, true])
    scenario(`HTTP/1.1: 33 cases of h1spec, ${secure ? 'TLS' : 'plain'}`,
        { ms: 60_000, skip: absent(h1spec) }, async (scene) => {
            // The suite speaks to example.com and to localhost.
            const relay = await scene.relay({ name: 'example.com' });
            const results = await inParallel(h1spec, 8, async (test) =>
                [test.description, await h1case(relay, secure, test)]);
            assert.deepEqual(results.filter(([, result]) => result !== 'ok'), []);
            assert.equal(results.length, 33);
        });
