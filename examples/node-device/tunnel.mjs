// One tunnel to an RVPN relay, speaking M-PROXY v1 as the telebit clients do: every visitor becomes
// one connection to a local port.  Reconnects by itself until close().
//
//   const tunnel = new Tunnel({ relay: 'wss://relay.example.com', token, portFor });
//   tunnel.on('grant', (grant) => ...);   // [['https', 'hello.example.com'], ['tcp', host, port], ...]
//   tunnel.open();
//
// portFor({service, name, serviceport}) says which local port serves a new visitor; undefined: none.
// Events: open, grant(list), visitor({service, name, address}), refused(error), closed(code, reason),
// retry(ms).
import { EventEmitter } from 'node:events';
import net from 'node:net';
import Packer from 'proxy-packer';
import WebSocket from 'ws';

const HIGH_BYTES = 1024 * 1024; // more than this waiting for one reader, and its writer is paused
const LOW_BYTES = 128 * 1024;
const IDLE_MS = 20_000; // silent for so long, the relay is pinged
const PONG_MS = 10_000;
const RETRY_MS = { first: 500, most: 30_000 };

export class Tunnel extends EventEmitter {
    constructor({ relay, token, portFor, tls = {} }) {
        super();
        Object.assign(this, { relay, token, portFor, tls });
        this.visitors = new Map(); // address -> {meta, local, bytes, askedForPause, isPaused}
        this.attempt = 0;
        this.stopped = false;
    }

    open() {
        this.packer = Packer.create({
            onmessage: (frame) => this.onData(frame),
            oncontrol: (frame) => this.onControl(JSON.parse(frame.data)),
            onend: (frame) => this.onEnd(frame),
            onerror: (frame) => this.onEnd(frame),
            onpause: (frame) => this.onPause(frame),
            onresume: (frame) => this.onResume(frame),
        });
        const ws = new WebSocket(this.relay, { ...this.tls, perMessageDeflate: false });
        this.ws = ws;
        ws.on('open', () => {
            this.watchPulse();
            this.emit('open');
        });
        ws.on('message', (data, isBinary) => {
            this.heardAt = Date.now();
            if (isBinary) this.packer.fns.addChunk(data);
            else this.emit('refused', JSON.parse(data).error);
        });
        ws.on('ping', () => (this.heardAt = Date.now()));
        ws.on('pong', () => (this.heardAt = Date.now()));
        ws.on('error', (err) => (this.trouble = err)); // 'close' follows
        ws.on('close', (code, reason) => this.onClosed(code, reason));
    }

    // Ends for good.
    close() {
        this.stopped = true;
        clearTimeout(this.retry);
        this.ws?.close(1000);
        this.dropVisitors();
    }

    // A relay that has died silently is noticed by its missing pong.
    watchPulse() {
        this.heardAt = Date.now();
        this.pulse = setInterval(() => {
            const silent = Date.now() - this.heardAt;
            if (silent > IDLE_MS + PONG_MS) this.ws.terminate();
            else if (silent > IDLE_MS) this.ws.ping();
        }, 5_000);
    }

    onClosed(code, reason) {
        clearInterval(this.pulse);
        this.dropVisitors();
        this.emit('closed', code, String(reason) || this.trouble?.message || '');
        this.trouble = undefined;
        if (this.stopped) return;
        // Twice as long each time, and a random part of it: a thousand devices whose relay was
        // restarted do not come back in the same moment.
        const longest = Math.min(RETRY_MS.most, RETRY_MS.first * 2 ** this.attempt++);
        const ms = Math.round(longest * (0.5 + Math.random() / 2));
        this.retry = setTimeout(() => this.open(), ms);
        this.emit('retry', ms);
    }

    dropVisitors() {
        for (const visitor of this.visitors.values()) visitor.local.destroy();
        this.visitors.clear();
    }

    // --- what the relay says about the tunnel itself

    onControl([id, ...words]) {
        if (id === this.askId) {
            if (words[0]) this.emit('refused', words[0]);
        } else if (words[0] === 'hello') {
            this.askId = -Math.ceil(Math.random() * 1e9);
            this.send(Packer.pack(null, [-this.askId, 'add_token', this.token], 'control'));
            this.send(Packer.pack(null, [-id, null], 'control'));
        } else if (words[0] === 'grant') {
            this.attempt = 0; // it works: start again with short waits
            this.emit('grant', words[1]);
        }
    }

    // --- from the relay to the local service

    onData(frame) {
        const visitor = this.visitors.get(Packer.addrToId(frame)) ?? this.onVisitor(frame);
        if (!visitor?.local.writable || !frame.data) return;
        visitor.bytes += frame.data.length;
        visitor.local.write(frame.data);
        if (visitor.local.writableLength > HIGH_BYTES && !visitor.askedForPause) {
            visitor.askedForPause = true;
            this.sendFlow(visitor, 'pause');
        }
    }

    onVisitor(frame) {
        const { family, address, port, service, serviceport, name } = frame;
        const meta = { family, address, port, service, serviceport, name };
        const localPort = this.portFor(meta);
        if (!localPort) {
            this.sendEnd(meta);
            return null;
        }
        const id = Packer.addrToId(frame);
        const local = net.connect({ port: localPort, host: '127.0.0.1' });
        const visitor = { meta, local, bytes: 0, askedForPause: false, isPaused: false };
        this.visitors.set(id, visitor);
        local.on('data', (chunk) => this.onLocalData(visitor, chunk));
        local.on('drain', () => this.onLocalDrain(visitor));
        local.on('error', (err) => this.emit('trouble', err)); // 'close' follows
        local.on('close', () => {
            // Gone already if it was the relay that ended it.
            if (this.visitors.get(id) !== visitor) return;
            this.visitors.delete(id);
            this.sendEnd(meta);
        });
        this.emit('visitor', meta);
        return visitor;
    }

    onEnd(frame) {
        const id = Packer.addrToId(frame);
        const visitor = this.visitors.get(id);
        this.visitors.delete(id);
        visitor?.local.destroySoon();
    }

    onPause(frame) {
        const visitor = this.visitors.get(Packer.addrToId(frame));
        if (!visitor) return;
        visitor.isPaused = true;
        visitor.local.pause();
    }

    onResume(frame) {
        const visitor = this.visitors.get(Packer.addrToId(frame));
        if (!visitor) return;
        visitor.isPaused = false;
        visitor.local.resume();
    }

    // --- from the local service to the relay

    onLocalData(visitor, chunk) {
        const header = Packer.packHeader({ ...visitor.meta }, chunk);
        this.send(header);
        this.send(chunk);
        if (this.ws.bufferedAmount > HIGH_BYTES)
            for (const { local } of this.visitors.values()) local.pause();
    }

    // The local service reads again.
    onLocalDrain(visitor) {
        if (!visitor.askedForPause) return;
        visitor.askedForPause = false;
        this.sendFlow(visitor, 'resume');
    }

    send(bytes) {
        if (this.ws.readyState === WebSocket.OPEN) this.ws.send(bytes, () => this.onSent());
    }

    // Header and body may be two messages: the relay reads the stream, not the messages.
    onSent() {
        if (this.ws.bufferedAmount > LOW_BYTES) return;
        for (const { local, isPaused } of this.visitors.values())
            if (!isPaused && local.isPaused()) local.resume();
    }

    sendEnd(meta) {
        this.send(Packer.packHeader({ ...meta }, null, 'end'));
    }

    sendFlow(visitor, word) {
        this.send(Packer.pack({ ...visitor.meta }, Buffer.from(String(visitor.bytes)), word));
    }
}
