// Visitors: HTTP, TLS and raw TCP connections to the relay's port, and what they saw.
import { createHash } from 'node:crypto';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import tls from 'node:tls';
import { deferred, within, DEADLINE_MS } from './wait.mjs';

// One request on a connection of its own.  With `ca` it goes through TLS whose SNI is `host`.
// Gives {status, headers, body, bytes, sha256, wire: {in, out}}; keeps the body only with `keep`.
export function request({ port, host, path = '/', method = 'GET', headers = {}, body, ca,
    address = '127.0.0.1', localAddress, keep = true, onData, ms = DEADLINE_MS }) {
    const { promise, resolve, reject } = deferred();
    const options = {
        host: address, port, path, method, agent: false, ca, servername: host, localAddress,
        headers: { Host: host, ...headers },
    };
    const req = (ca ? https : http).request(options, (response) => {
        const hash = createHash('sha256');
        const parts = [];
        let bytes = 0;
        response.on('data', (d) => {
            hash.update(d);
            bytes += d.length;
            if (keep) parts.push(d);
            onData?.(d, response);
        });
        response.on('aborted', () => reject(new Error(`answer cut after ${bytes} bytes`)));
        response.on('error', reject);
        response.on('end', () => {
            const { socket } = response;
            resolve({
                status: response.statusCode, headers: response.headers, bytes,
                body: Buffer.concat(parts).toString(), sha256: hash.digest('hex'),
                wire: { in: socket.bytesRead, out: socket.bytesWritten },
            });
        });
    });
    req.on('error', reject);
    if (body?.[Symbol.iterator] && !Buffer.isBuffer(body) && typeof body !== 'string') {
        for (const piece of body) req.write(piece);
        req.end();
    } else {
        req.end(body);
    }
    return within(promise, `${method} ${host}${path}`, ms).finally(() => req.destroy());
}

// A TCP visitor whose bytes the test reads and writes.
export class Visitor {
    static async connect({ port, address = '127.0.0.1', localAddress, allowHalfOpen = true,
        pauseOnCreate = false }) {
        const visitor = new Visitor();
        const socket = net.connect({ port, host: address, localAddress, allowHalfOpen });
        visitor.socket = socket;
        socket.setNoDelay(true);
        visitor.received = Buffer.alloc(0);
        visitor.ended = false;
        visitor.closed = deferred();
        visitor.waiters = new Set();
        const poke = () => visitor.waiters.forEach((w) => w());
        if (!pauseOnCreate) socket.on('data', (d) => {
            visitor.received = Buffer.concat([visitor.received, d]);
            poke();
        });
        socket.on('end', () => {
            visitor.ended = true;
            poke();
        });
        socket.on('error', (err) => (visitor.error = err));
        socket.on('close', () => {
            visitor.ended = true;
            visitor.closed.resolve(visitor.error);
            poke();
        });
        await within(new Promise((resolve, reject) => {
            socket.once('connect', resolve);
            socket.once('error', reject);
        }), 'a visitor to connect');
        return visitor;
    }

    write(bytes) {
        return new Promise((resolve) => this.socket.write(bytes, () => resolve()));
    }

    get text() {
        return this.received.toString('latin1');
    }

    // Until what was received satisfies `likes(text)`; fails when the connection ends before.
    until(likes, what = 'bytes', ms = DEADLINE_MS) {
        const { promise, resolve, reject } = deferred();
        const look = () => {
            if (likes(this.text)) resolve(this.text);
            else if (this.ended) reject(new Error(`ended before ${what}: ${this.text.slice(0, 400)}`));
        };
        this.waiters.add(look);
        look();
        return within(promise, () => `${what}; have ${JSON.stringify(this.text.slice(0, 400))}`, ms)
            .finally(() => this.waiters.delete(look));
    }

    // Until the relay has ended the connection; gives all that was received.
    async end(ms = DEADLINE_MS) {
        const { promise, resolve } = deferred();
        const look = () => this.ended && resolve();
        this.waiters.add(look);
        look();
        await within(promise, () => `the end; have ${JSON.stringify(this.text.slice(0, 400))}`, ms)
            .finally(() => this.waiters.delete(look));
        return this.text;
    }

    destroy() {
        this.socket.destroy();
    }

    reset() {
        this.socket.resetAndDestroy();
    }
}

// A TLS handshake with `host` as SNI, over a socket of its own: the TLSSocket, or the error.
export function handshake({ port, host, ca, address = '127.0.0.1', socket, ...options }) {
    const { promise, resolve, reject } = deferred();
    const secure = tls.connect({
        ...(socket ? { socket } : { port, host: address }), servername: host ?? '', ca, ...options,
    });
    secure.once('secureConnect', () => resolve(secure));
    secure.once('error', reject);
    return within(promise, `a handshake with ${host}`);
}
