// A device's WebSocket: the real `ws`, or ours at byte level.  Both emit message(data, isText),
// ping(), pong(), close(code, reason) when the relay closes in order, and end when it is over.
import { EventEmitter } from 'node:events';
import WebSocket from 'ws';
import { OP, RawWebSocket } from './raw_ws.mjs';
import { deferred, within } from './wait.mjs';

const RESUME_BYTES = 128 * 1024;

export class LibraryTransport extends EventEmitter {
    static async open({ url, ca, headers, servername }) {
        const transport = new LibraryTransport();
        const opened = deferred();
        // `servername` '' sends no SNI, as for an IP literal.
        const ws = new WebSocket(url, { ca, headers, servername, maxPayload: 1 << 30 });
        transport.ws = ws;
        ws.on('message', (data, isBinary) => transport.emit('message', data, !isBinary));
        ws.on('ping', () => transport.emit('ping'));
        ws.on('pong', () => transport.emit('pong'));
        ws.on('unexpected-response', (_, response) => {
            const parts = [];
            response.on('data', (d) => parts.push(d));
            response.on('end', () => opened.reject(Object.assign(
                new Error(`unexpected server response (${response.statusCode})`),
                { status: response.statusCode, body: Buffer.concat(parts).toString() })));
        });
        ws.on('error', (err) => opened.reject(err));
        ws.on('open', () => {
            ws._socket.setNoDelay(true);
            ws.pause(); // until listen(): the hello may have come with the 101
            opened.resolve();
        });
        ws.on('close', (code, reason) => {
            if (code !== 1006) transport.emit('close', code, reason.toString());
            transport.emit('end');
        });
        await within(opened.promise, `a WebSocket at ${url.replace(/access_token=.*/, '...')}`);
        return transport;
    }

    listen() {
        this.ws.resume();
    }

    get buffered() {
        return this.ws.bufferedAmount;
    }

    send(bytes, { text = false } = {}) {
        if (this.ws.readyState !== WebSocket.OPEN) return;
        this.ws.send(bytes, { binary: !text, compress: false }, () => {
            if (this.buffered <= RESUME_BYTES) this.emit('drain');
        });
    }

    ping() {
        if (this.ws.readyState === WebSocket.OPEN) this.ws.ping();
    }

    pause() {
        this.ws.pause();
    }

    resume() {
        this.ws.resume();
    }

    close(code, reason) {
        this.ws.close(code, reason);
    }

    destroy() {
        this.ws.terminate();
    }
}

export class RawTransport extends EventEmitter {
    // `lines`: the upgrade request as its age wrote it; `cut`: fragment messages at so many bytes.
    static async open({ lines, key, cut, port, host, ca, clear, servername, onViolation }) {
        const transport = new RawTransport();
        const raw = await RawWebSocket.open({ lines, key, port, host, ca, clear, servername });
        if (raw.status !== 101) {
            const body = await raw.body();
            throw Object.assign(new Error(`unexpected server response (${raw.status})`),
                { status: raw.status, body, head: raw.head });
        }
        if (/^Sec-WebSocket-Extensions:/im.test(raw.head) && !lines.join('').includes('Extensions'))
            onViolation('an extension that was not offered');
        Object.assign(transport, { raw, cut });
        raw.on('violation', onViolation);
        raw.on('message', (data, isText) => transport.emit('message', data, isText));
        raw.on('ping', (data) => {
            raw.control(OP.pong, data);
            transport.emit('ping');
        });
        raw.on('pong', () => transport.emit('pong'));
        raw.on('close', (code, reason, bytes) => {
            raw.control(OP.close, bytes.subarray(0, 2));
            transport.emit('close', code, reason, bytes);
        });
        raw.on('end', () => transport.emit('end'));
        raw.socket.on('drain', () => transport.emit('drain'));
        return transport;
    }

    listen() {
        this.raw.listen();
    }

    get buffered() {
        return this.raw.socket.writableLength;
    }

    send(bytes, { text = false } = {}) {
        this.raw.send(bytes, { op: text ? OP.text : OP.binary, cut: this.cut });
    }

    ping() {
        this.raw.control(OP.ping);
    }

    pause() {
        this.raw.socket.pause();
    }

    resume() {
        this.raw.socket.resume();
    }

    close(code = 1000) {
        this.raw.close(code);
    }

    destroy() {
        this.raw.destroy();
    }
}
