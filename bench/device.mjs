// The TLS end of a measured transfer, in Node: a device (npm `ws` and `proxy-packer`), or the same
// without a tunnel, for HAProxy.  What is asked of either:
//   read BYTES CHUNK   sends BYTES of the pattern, CHUNK at a time
//   write BYTES        compares what comes with the pattern, then answers "ok"
//   ask                answers each 100 bytes with 200
import { fork } from 'node:child_process';
import { createRequire } from 'node:module';
import tls from 'node:tls';
import { fileURLToPath } from 'node:url';

const packages = process.env.BENCH_PACKAGES ?? '../examples/node-device/';
const require = createRequire(new URL(packages, import.meta.url));
const WebSocket = require('ws');
const Packer = require('proxy-packer');

const HIGH_BYTES = 1 << 20; // on its way out; more waits for room
const PERIOD = 16 << 20;
const LONGEST = 256 << 10;
export const ASK_BYTES = 100;
export const ANSWER_BYTES = 200;

// The same as in pump.c; its beginning follows once more so that no piece wraps round.
const pattern = (() => {
    const words = new Uint32Array((PERIOD + LONGEST) / 4);
    const turn = PERIOD / 4;
    for (let i = 0; i < turn; i++) words[i] = Math.imul(i, 2654435761) ^ (i >>> 7);
    words.copyWithin(turn, 0, LONGEST / 4);
    return Buffer.from(words.buffer);
})();

// `len` bytes of it, as they are `at` bytes behind the start of a transfer; at most LONGEST.
export const patternAt = (at, len) => pattern.subarray(at % PERIOD, (at % PERIOD) + len);

const answer = (() => {
    const head = `HTTP/1.1 200 OK\r\nContent-Length: 160\r\n\r\n`;
    return Buffer.from(head.padEnd(ANSWER_BYTES, '.'));
})();
const ok = Buffer.from('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');

// One visitor's end.  `out(bytes)` sends, `queued()` says how much is on its way.
class Conversation {
    constructor({ what, bytes, chunk }, out, queued) {
        Object.assign(this, { what, bytes, chunk, out, queued });
        this.at = 0;
        this.isPaused = false;
        this.isOver = false;
    }

    // Sends the next piece; false if there is none, or no room.
    step() {
        if (this.what !== 'read' || this.isPaused || this.isOver) return false;
        if (this.at === this.bytes || this.queued() >= HIGH_BYTES) return false;
        const len = Math.min(this.chunk, this.bytes - this.at);
        this.at += len;
        this.out(patternAt(this.at - len, len));
        return true;
    }

    pump() {
        while (this.step());
    }

    take(data) {
        if (this.what === 'write') this.compare(data);
        else if (this.what === 'ask') this.answer(data.length);
    }

    compare(data) {
        for (let at = 0; at < data.length; ) {
            const len = Math.min(LONGEST, data.length - at);
            const from = this.at % PERIOD;
            if (data.compare(pattern, from, from + len, at, at + len))
                throw new Error(`other bytes than were sent, near ${this.at}`);
            at += len;
            this.at += len;
        }
        if (this.at === this.bytes) this.out(ok);
    }

    answer(len) {
        this.at += len;
        for (; this.at >= ASK_BYTES; this.at -= ASK_BYTES) this.out(answer);
    }
}

// The first line of a visitor's request says what it is for: see request() below.
function conversationFor(head, out, queued) {
    const [, what, bytes, chunk] = /^\S+ \/(\w+)\/(\d+)\/(\d+) /.exec(head) ?? [];
    return new Conversation({ what: what ?? 'ask', bytes: Number(bytes), chunk: Number(chunk) }, out,
        queued);
}

export function request(host, what, bytes, chunk) {
    const length = what === 'write' ? `Content-Length: ${bytes}\r\n` : '';
    const method = what === 'write' ? 'POST' : 'GET';
    return `${method} /${what}/${bytes}/${chunk} HTTP/1.1\r\nHost: ${host}\r\n${length}\r\n`;
}

export function smallRequest(host) {
    const head = `GET / HTTP/1.1\r\nHost: ${host}\r\nX: `;
    return head.padEnd(ASK_BYTES - 4, '.') + '\r\n\r\n';
}

// A device that serves whoever comes.  With `obeys` false it ignores pause and resume, and sends no
// control frame, as the clients of 2016 do.  With `saves` its masks are zeros, which `ws` does not
// spend time on: masking in JavaScript takes it most of its time.
export class Device {
    static async open({ url, token, obeys = true, saves = false, tls: options }) {
        const device = new Device();
        const at = obeys ? url : `${url}?access_token=${token}`;
        Object.assign(device, { token, obeys, visitors: new Map(), turn: 0, pauses: 0 });
        device.packer = Packer.create({
            onmessage: (frame) => device.onData(frame),
            oncontrol: (frame) => device.onControl(JSON.parse(frame.data)),
            onend: (frame) => device.onEnd(frame),
            onerror: (frame) => device.onEnd(frame),
            onpause: (frame) => device.onPause(frame, true),
            onresume: (frame) => device.onPause(frame, false),
        });
        const generateMask = saves ? (mask) => mask.fill(0) : undefined;
        device.ws = new WebSocket(at, { ...options, perMessageDeflate: false, generateMask });
        device.ws.on('message', (data) => device.packer.fns.addChunk(data));
        device.sent = () => device.pump();
        await new Promise((resolve, reject) => {
            device.granted = resolve;
            device.ws.on('error', reject);
            device.ws.on('close', (code) => reject(new Error(`the relay closed: ${code}`)));
            if (!obeys) device.ws.on('message', resolve); // its hello
        });
        device.cipher = device.ws._socket.getCipher().standardName;
        return device;
    }

    onControl([id, ...words]) {
        if (!this.obeys) {
            const nobody = { family: '', address: '', port: '' };
            this.ws.send(Packer.packHeader(nobody, Buffer.from(' '), 'error', true));
        } else if (words[0] === 'hello') {
            this.ws.send(Packer.pack(null, [1, 'add_token', this.token], 'control'));
            this.ws.send(Packer.pack(null, [-id, null], 'control'));
        } else if (words[0] === 'grant') {
            this.granted();
        }
    }

    onData(frame) {
        const id = Packer.addrToId(frame);
        let visitor = this.visitors.get(id);
        let { data } = frame;
        if (!visitor) {
            const { family, address, port, service, serviceport, name } = frame;
            const meta = { family, address, port, service, serviceport, name };
            const out = (bytes) => this.send(meta, bytes);
            visitor = conversationFor(data, out, () => this.ws.bufferedAmount);
            this.visitors.set(id, visitor);
            if (visitor.what === 'read')
                out(Buffer.from(`HTTP/1.1 200 OK\r\nContent-Length: ${visitor.bytes}\r\n\r\n`));
            if (visitor.what !== 'ask') data = data.subarray(data.indexOf('\r\n\r\n') + 4);
        }
        visitor.take(data);
        this.pump();
    }

    // As telebit 0.20 does it: the header is one message, the bytes are the next.
    send(meta, bytes) {
        this.ws.send(Packer.packHeader({ ...meta }, bytes));
        this.ws.send(bytes, this.sent);
    }

    // One piece of each in turn, so that none waits for ever behind another.
    pump() {
        const all = [...this.visitors.values()];
        for (let idle = 0; idle < all.length; idle++)
            if (all[this.turn++ % all.length].step()) idle = -1;
    }

    onEnd(frame) {
        const id = Packer.addrToId(frame);
        const visitor = this.visitors.get(id);
        if (visitor) visitor.isOver = true;
        this.visitors.delete(id);
    }

    onPause(frame, isPaused) {
        const visitor = this.visitors.get(Packer.addrToId(frame));
        if (!visitor) return;
        this.pauses += isPaused;
        visitor.isPaused = isPaused;
        this.pump();
    }

    close() {
        this.ws.removeAllListeners('close');
        this.ws.terminate();
    }
}

// The same conversation on a TLS connection of its own.
export function direct({ port, what, bytes, chunk, options }) {
    const socket = tls.connect({ port, host: '127.0.0.1', ...options });
    const pump = () => talk.pump();
    const out = (piece) => socket.write(piece, pump);
    const talk = new Conversation({ what, bytes, chunk }, out, () => socket.writableLength);
    socket.setNoDelay(true);
    socket.on('error', (err) => {
        if (err.code !== 'ECONNRESET') throw err;
    });
    socket.on('data', (data) => talk.take(data));
    socket.on('secureConnect', () => {
        socket.cipher = socket.getCipher().standardName;
        talk.pump();
    });
    return socket;
}

const self = fileURLToPath(import.meta.url);

// The answer of a forked child to the next question, or why there is none.
export const answerOf = (child) => new Promise((resolve, reject) => {
    const onExit = (code) => reject(new Error(`a child ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (answer) => {
        child.removeListener('exit', onExit);
        resolve(answer);
    });
});

// A device in a process of its own, so that a clock that is read here is not held up by it.
// {child, pauses(), stop()}
export async function forkDevice({ url, token, ca }, options = {}) {
    const child = fork(self, ['device'], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const ask = (question) => {
        const answer = answerOf(child);
        child.send(question);
        return answer;
    };
    await ask({ url, token, ca: ca.toString(), ...options });
    return { child, pauses: () => ask('pauses?'), stop: () => child.disconnect() };
}

if (process.argv[1] === self && process.send) {
    process.on('disconnect', () => process.exit(0));
    process.once('message', async ({ ca, more, ...options }) => {
        const device = await Device.open({ ...options, tls: { ...more, ca } });
        process.on('message', () => process.send(device.pauses));
        process.send({});
    });
}
