// What stands behind the devices: an HTTP server, the same over TLS, and two raw TCP servers.
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

// A self-signed P-256 certificate for `names` (DNS names or IPs): {cert, key} as PEM.
export function certificate(names) {
    const folder = mkdtempSync(path.join(tmpdir(), 'rvpn-e2e-cert-'));
    try {
        const [cert, key] = ['cert.pem', 'key.pem'].map((f) => path.join(folder, f));
        const san = names.map((n) => `${net.isIP(n) ? 'IP' : 'DNS'}:${n}`).join(',');
        execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt',
            'ec_paramgen_curve:prime256v1', '-nodes', '-days', '30', '-subj', '/CN=test service',
            '-addext', `subjectAltName=${san}`, '-keyout', key, '-out', cert], { stdio: 'pipe' });
        return { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') };
    } finally {
        rmSync(folder, { recursive: true });
    }
}

// Bytes that look random, the same ones each time: block by block, so that a gigabyte costs little.
const BLOCK = 1 << 20;
const block = (() => {
    const b = Buffer.alloc(BLOCK);
    let x = 0x2545f491;
    for (let i = 0; i < BLOCK; i += 4) {
        x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
        b.writeUInt32LE(x, i);
    }
    return b;
})();

// Each block of the pattern begins with its own number, so that a lost or doubled one shows.
export function* pattern(bytes) {
    for (let at = 0; at < bytes; at += BLOCK) {
        const piece = Buffer.from(block);
        piece.writeBigUInt64LE(BigInt(at));
        yield piece.subarray(0, Math.min(BLOCK, bytes - at));
    }
}

export function patternBytes(bytes) {
    return Buffer.concat([...pattern(bytes)]);
}

export function sha256(bytes) {
    return createHash('sha256').update(bytes).digest('hex');
}

export function patternHash(bytes) {
    const hash = createHash('sha256');
    for (const piece of pattern(bytes)) hash.update(piece);
    return hash.digest('hex');
}

function listen(server, port = 0) {
    return new Promise((resolve, reject) => {
        server.on('error', reject);
        server.listen(port, '127.0.0.1', () => resolve(server.address().port));
    });
}

// A service that is `mute` takes requests and never answers.
//
// GET  /                       "`text` METHOD PATH host=HOST"
// POST /upload                 {"bytes": N, "sha256": "..."}
// GET  /download?bytes=N       the pattern
// GET  /halves?bytes=N&pause=S the pattern after S seconds, and half of it after S more
// GET  /hold                   a head and one byte, then silence; `held` has the responses
// GET  /slow?bytes=N&step=S    S bytes at a time
function handler(service) {
    return (request, response) => {
        service.requests.push({ method: request.method, url: request.url,
            headers: request.headers, raw: request.rawHeaders });
        if (service.mute) {
            request.resume();
            return;
        }
        const url = new URL(request.url, 'http://service');
        switch (url.pathname) {
        case '/upload':
            upload(request, response);
            break;
        case '/download':
            download(response, Number(url.searchParams.get('bytes')));
            break;
        case '/halves':
            halves(response, Number(url.searchParams.get('bytes')),
                Number(url.searchParams.get('pause')));
            break;
        case '/hold':
            request.resume();
            response.writeHead(200, { 'Content-Type': 'text/plain' });
            response.write('.');
            service.held.push(response);
            break;
        default:
            request.resume();
            response.writeHead(200, { 'Content-Type': 'text/plain' });
            response.end(`${service.text} ${request.method} ${request.url} ` +
                `host=${request.headers.host}`);
        }
    };
}

function upload(request, response) {
    const hash = createHash('sha256');
    let bytes = 0;
    request.on('data', (d) => {
        hash.update(d);
        bytes += d.length;
    });
    request.on('end', () => {
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({ bytes, sha256: hash.digest('hex') }));
    });
}

function download(response, bytes) {
    response.writeHead(200, { 'Content-Length': bytes });
    const pieces = pattern(bytes);
    const more = () => {
        for (;;) {
            const { value, done } = pieces.next();
            if (done) {
                response.end();
                return;
            }
            if (!response.write(value)) break;
        }
        response.once('drain', more);
    };
    more();
}

function halves(response, bytes, pause) {
    response.writeHead(200, { 'Content-Length': bytes, Connection: 'close' });
    inHalves(response, patternBytes(bytes), pause);
}

// Writes `bytes` to a stream after `pause` seconds, the second half after as many more.
export function inHalves(stream, bytes, pause) {
    const half = Math.floor(bytes.length / 2);
    setTimeout(() => stream.write(bytes.subarray(0, half)), pause * 1000);
    setTimeout(() => stream.end(bytes.subarray(half)), pause * 2000);
}

// Counts what every connection of a server moved, at TCP.
function count(server, service) {
    server.on('connection', (socket) => {
        service.connections++;
        service.sockets.add(socket);
        socket.setNoDelay(true);
        socket.on('error', () => {});
        socket.on('close', () => {
            service.sockets.delete(socket);
            service.bytesIn += socket.bytesRead;
            service.bytesOut += socket.bytesWritten;
        });
    });
}

async function serve(scene, server, text) {
    const service = { text, requests: [], held: [], sockets: new Set(), connections: 0,
        bytesIn: 0, bytesOut: 0, server };
    count(server, service);
    service.port = await listen(server);
    scene.after(() => {
        server.close();
        for (const socket of service.sockets) socket.destroy();
    });
    return service;
}

export async function httpService(scene, text = 'http') {
    const server = http.createServer();
    const service = await serve(scene, server, text);
    server.on('request', handler(service));
    return service;
}

export async function httpsService(scene, text = 'https', names = ['a.example', '*.w.example']) {
    const pair = certificate(names);
    const server = https.createServer({ ...pair, allowHalfOpen: true });
    server.httpAllowHalfOpen = true; // who has said close_notify still gets its answer
    const service = await serve(scene, server, text);
    server.on('request', handler(service));
    return Object.assign(service, { ca: pair.cert });
}

// Says nothing until it is spoken to, then says the same back.
export async function echoService(scene) {
    return serve(scene, net.createServer((socket) => socket.pipe(socket)), 'echo');
}

// Speaks first, as SSH and SMTP servers do, then echoes.
export const BANNER = 'SERVICE-2.0-banner ready\r\n';

export async function bannerService(scene) {
    return serve(scene, net.createServer((socket) => {
        socket.write(BANNER);
        socket.pipe(socket);
    }), 'banner');
}

// A TCP server whose sockets the test holds: `accepted` gives them in turn.
export async function manualService(scene) {
    const waiting = [];
    const ready = [];
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
        if (waiting.length) waiting.shift()(socket);
        else ready.push(socket);
    });
    const service = await serve(scene, server, 'manual');
    service.accepted = () => ready.length ? Promise.resolve(ready.shift())
        : new Promise((resolve) => waiting.push(resolve));
    return service;
}
