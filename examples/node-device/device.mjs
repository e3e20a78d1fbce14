#!/usr/bin/env node
// A small device: serves a friendly page, by HTTP and HTTPS, through an RVPN relay.
//
//   node device.mjs --relay wss://localhost:8000 --host hello.localhost --token TOKEN
//                   [--ca FILE | --insecure] [--cert FILE --key FILE]
//
// --token may be left out when RVPN_TOKEN holds it.  Without --cert there is no HTTPS.
import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { parseArgs } from 'node:util';
import { page } from './page.mjs';
import { Tunnel } from './tunnel.mjs';

const { values: options } = parseArgs({
    options: {
        relay: { type: 'string', default: 'wss://localhost:8000' },
        host: { type: 'string', default: 'hello.localhost' },
        token: { type: 'string', default: process.env.RVPN_TOKEN },
        ca: { type: 'string' },
        insecure: { type: 'boolean', default: false },
        cert: { type: 'string' },
        key: { type: 'string' },
    },
});
if (!options.token) {
    console.error('device: no token: give one with --token or in RVPN_TOKEN');
    process.exit(2);
}

// Serves the page on a free local port; gives the port.
function serve(server, secure) {
    server.on('request', (request, response) => {
        const { host } = request.headers;
        response.writeHead(200, { 'Content-Type': 'text/html; charset=utf-8' });
        response.end(page({ host, secure, port: server.address().port }));
    });
    return new Promise((resolve, reject) => {
        server.on('error', reject);
        server.listen(0, '127.0.0.1', () => resolve(server.address().port));
    });
}

const local = { http: await serve(http.createServer(), false) };
if (options.cert) {
    const pair = { cert: readFileSync(options.cert), key: readFileSync(options.key) };
    local.https = await serve(https.createServer(pair), true);
}

const tunnel = new Tunnel({
    relay: options.relay,
    token: options.token,
    tls: {
        ca: options.ca && readFileSync(options.ca),
        rejectUnauthorized: !options.insecure,
    },
    portFor: ({ service, name }) => (name === options.host ? local[service] : undefined),
});
const log = (...words) => console.log(new Date().toISOString(), ...words);
tunnel.on('open', () => log('connected to', options.relay));
tunnel.on('grant', (grant) => log('granted', grant.map((g) => g.join(' ')).join(', ')));
tunnel.on('visitor', (v) => log('visitor', v.address, v.service, v.name));
tunnel.on('refused', (error) => log('refused:', error.message, error.code ?? ''));
tunnel.on('closed', (code, reason) => log('closed', code, reason));
tunnel.on('retry', (ms) => log(`trying again in ${(ms / 1000).toFixed(1)} s`));
tunnel.on('trouble', (err) => log('local service:', err.message));
tunnel.open();

for (const signal of ['SIGINT', 'SIGTERM'])
    process.on(signal, () => {
        tunnel.close();
        setTimeout(() => process.exit(0), 200); // long enough for the close to be sent
    });
