// A WebSocket client at byte level (RFC 6455): the upgrade request as literal lines, every frame of
// the relay checked, and frames of ours as broken as a test wants them.
import { createHash, randomBytes } from 'node:crypto';
import { EventEmitter } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { deferred, within } from './wait.mjs';

export const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 };

const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

export function acceptOf(key) {
    return createHash('sha1').update(key + GUID).digest('base64');
}

// One masked frame.
export function frame(op, payload = Buffer.alloc(0), { fin = true, rsv = 0, mask = randomBytes(4),
    length = payload.length } = {}) {
    const head = [(fin ? 0x80 : 0) | (rsv << 4) | op];
    const bit = mask ? 0x80 : 0;
    if (length < 126) head.push(bit | length);
    else if (length < 65536) head.push(bit | 126, length >> 8, length & 255);
    else {
        const long = Buffer.alloc(8);
        long.writeBigUInt64BE(BigInt(length));
        head.push(bit | 127, ...long);
    }
    if (!mask) return Buffer.concat([Buffer.from(head), payload]);
    const masked = Buffer.from(payload);
    for (let i = 0; i < masked.length; i++) masked[i] ^= mask[i & 3];
    return Buffer.concat([Buffer.from(head), mask, masked]);
}

// Opens a socket to the relay: {port, host, ca, clear, servername, alpn}.
export function connect({ port, host = '127.0.0.1', ca, clear = false, servername }) {
    const { promise, resolve, reject } = deferred();
    // An IP literal may not be an SNI: without `servername` none is sent.
    const socket = clear
        ? net.connect({ port, host }, () => resolve(socket))
        : tls.connect({ port, host, ca, servername: servername ?? '' }, () => resolve(socket));
    socket.setNoDelay(true);
    socket.once('error', reject);
    return within(promise, `a connection to ${host}:${port}`);
}

// Emits: message(data, isText, bytesOfFrames), ping(data), pong(data), close(code, reason, body),
// end (the TCP connection is over).
export class RawWebSocket extends EventEmitter {
    // `request`: lines of the upgrade without Sec-WebSocket-Key, which goes in at `{key}`.
    static async open({ lines, key = randomBytes(16).toString('base64'), ...where }) {
        const socket = await connect(where);
        socket.write(lines.join('\r\n').replace('{key}', key) + '\r\n\r\n');
        const { promise, resolve, reject } = deferred();
        let got = Buffer.alloc(0);
        const onData = (chunk) => {
            got = Buffer.concat([got, chunk]);
            const end = got.indexOf('\r\n\r\n');
            if (end < 0) return;
            socket.off('data', onData);
            socket.pause();
            resolve([got.subarray(0, end).toString('latin1'), got.subarray(end + 4)]);
        };
        const onEnd = () => reject(new Error(`closed instead of an answer: ${got}`));
        socket.on('data', onData);
        socket.once('close', onEnd);
        socket.once('error', reject);
        const [head, rest] = await within(promise, 'an answer to the upgrade');
        socket.off('close', onEnd);
        socket.off('error', reject);
        return new RawWebSocket(socket, head, rest, key);
    }

    constructor(socket, head, rest, key) {
        super();
        this.socket = socket;
        this.head = head;
        this.status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
        this.buffer = rest;
        this.parts = [];
        this.closed = false;
        this.over = deferred();
        socket.on('error', () => {});
        socket.on('close', () => {
            this.closed = true;
            this.over.resolve();
            this.emit('end');
        });
        if (this.status !== 101) return;
        const accept = /^Sec-WebSocket-Accept:\s*(\S+)/im.exec(head)?.[1];
        if (accept !== acceptOf(key)) throw new Error(`wrong Sec-WebSocket-Accept: ${head}`);
    }

    // Begins to deliver; call it after the handlers are set.
    listen() {
        this.socket.on('data', (chunk) => {
            this.buffer = this.buffer.length ? Buffer.concat([this.buffer, chunk]) : chunk;
            this.parse();
        });
        this.parse();
        this.socket.resume();
        return this;
    }

    // What came with an answer other than 101; the connection may stay.
    async body() {
        const length = Number(/^Content-Length:\s*(\d+)/im.exec(this.head)?.[1] ?? Infinity);
        const d = deferred();
        let got = this.buffer;
        const look = () => (got.length >= length || this.closed) && d.resolve();
        this.socket.on('data', (chunk) => {
            got = Buffer.concat([got, chunk]);
            look();
        });
        this.over.promise.then(look);
        this.socket.resume();
        look();
        await within(d.promise, 'the end of a refusal');
        this.destroy();
        return got.toString('latin1');
    }

    parse() {
        for (;;) {
            const b = this.buffer;
            if (b.length < 2) return;
            let length = b[1] & 127;
            let at = 2;
            if (length === 126) {
                if (b.length < 4) return;
                length = b.readUInt16BE(2);
                at = 4;
            } else if (length === 127) {
                if (b.length < 10) return;
                length = Number(b.readBigUInt64BE(2));
                at = 10;
            }
            if (b.length < at + length) return;
            this.buffer = b.subarray(at + length);
            this.take(b[0], b[1], b.subarray(at, at + length));
        }
    }

    take(first, second, payload) {
        const op = first & 15;
        if (first & 0x70) this.emit('violation', `reserved bits set: ${first}`);
        if (second & 0x80) this.emit('violation', 'a masked frame from the relay');
        if (op >= 8 && (payload.length > 125 || !(first & 0x80)))
            this.emit('violation', 'a long or fragmented control frame');
        switch (op) {
        case OP.close:
            this.emit('close', payload.length >= 2 ? payload.readUInt16BE(0) : undefined,
                payload.subarray(2).toString(), Buffer.from(payload));
            return;
        case OP.ping:
            this.emit('ping', Buffer.from(payload));
            return;
        case OP.pong:
            this.emit('pong', Buffer.from(payload));
            return;
        case OP.text:
        case OP.binary:
        case OP.more:
            this.fragment(op, first & 0x80, payload);
            return;
        default:
            this.emit('violation', `opcode ${op}`);
        }
    }

    fragment(op, fin, payload) {
        if ((op === OP.more) !== this.parts.length > 0)
            this.emit('violation', 'fragments out of order');
        if (!this.parts.length) this.op = op;
        this.parts.push(payload);
        if (!fin) return;
        const whole = this.parts.length === 1 ? payload : Buffer.concat(this.parts);
        this.parts = [];
        this.emit('message', whole, this.op === OP.text);
    }

    // Sends one message, cut into fragments of at most `cut` bytes.
    send(payload, { op = OP.binary, cut = Infinity, done } = {}) {
        if (this.closed) return false;
        if (payload.length <= cut) return this.socket.write(frame(op, payload), done);
        const frames = [];
        for (let at = 0; at < payload.length; at += cut)
            frames.push(frame(at ? OP.more : op, payload.subarray(at, at + cut),
                { fin: at + cut >= payload.length }));
        return this.socket.write(Buffer.concat(frames), done);
    }

    control(op, payload) {
        if (!this.closed) this.socket.write(frame(op, payload));
    }

    close(code = 1000) {
        this.control(OP.close, Buffer.from([code >> 8, code & 255]));
    }

    destroy() {
        this.socket.destroy();
    }
}
