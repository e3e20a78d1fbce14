// A visitor that has sent its FIN gets its answer whole, by every age of device and every service.
import assert from 'node:assert/strict';
import tls from 'node:tls';
import { inHalves, manualService, patternBytes, patternHash, sha256 } from './lib/services.mjs';
import { classes } from './lib/devices.mjs';
import { freePort } from './lib/relay.mjs';
import { scenario } from './lib/scene.mjs';
import { slowness } from './lib/paths.mjs';
import { within, DEADLINE_MS } from './lib/wait.mjs';
import { LETTERS, anyTcpPort, services } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const BYTES = 300_000;
const expected = patternHash(BYTES);
const MS = DEADLINE_MS + 20_000;

const withoutHead = (bytes) => bytes.subarray(bytes.indexOf('\r\n\r\n') + 4);

const requestFor = (host, pause) => `GET /halves?bytes=${BYTES}&pause=${pause} HTTP/1.1\r\n` +
    `Host: ${host}\r\n\r\n`;

async function overHttp({ relay, host, pause }) {
    const visitor = await Visitor.connect({ port: relay.port });
    visitor.socket.end(requestFor(host, pause));
    await visitor.end(MS);
    return withoutHead(visitor.received);
}

// close_notify, and a FIN behind it.
async function overTls({ relay, host, pause, ca }) {
    const socket = tls.connect({ port: relay.port, host: '127.0.0.1', servername: host, ca,
        allowHalfOpen: true });
    const parts = [];
    socket.on('data', (d) => parts.push(d));
    socket.end(requestFor(host, pause));
    await within(new Promise((resolve, reject) => socket.on('end', resolve).on('error', reject)),
        `the end of the answer of ${host}`, MS);
    socket.destroy();
    return withoutHead(Buffer.concat(parts));
}

async function overTcp({ port, manual, pause }) {
    const visitor = await Visitor.connect({ port });
    visitor.socket.end('what is it?');
    inHalves(await manual.accepted(), patternBytes(BYTES), pause);
    await visitor.end(MS);
    return visitor.received;
}

// A device of each class with a name and a port of its own, all at one relay.
async function deviceOfEach(scene, config) {
    const relay = await scene.relay({ config: { ...anyTcpPort, ...config } });
    const all = await services(scene);
    const made = [];
    for (const letter of LETTERS) {
        const host = `${letter.toLowerCase()}.w.example`;
        const [port, manual] = [await freePort(), await manualService(scene)];
        await scene.device(classes[letter], {
            relay, token: relay.token({ hosts: [host], ports: [port] }),
            services: { http: all.http.port, https: all.https.port, tcp: manual.port },
        });
        made.push({ relay, letter, host, port, manual, ca: all.https.ca });
    }
    return made;
}

async function check(scene, config, pause) {
    const ways = { http: overHttp, https: overTls, tcp: overTcp };
    const devices = await deviceOfEach(scene, config);
    const rows = devices.flatMap((d) => Object.entries(ways).map(async ([way, ask]) => {
        const bytes = await ask({ ...d, pause });
        assert.equal(bytes.length, BYTES, `class ${d.letter} over ${way}`);
        assert.equal(sha256(bytes), expected, `class ${d.letter} over ${way}`);
    }));
    await Promise.all(rows);
}

scenario('an answer that begins late and pauses reaches a half-closed visitor whole, ' +
    'by every class and service', { ms: 40_000 }, (scene) =>
    check(scene, { half_close: `${15 * slowness}s` }, 1.5));

scenario('on a quiet tunnel it may pause for longer than 5 s', { ms: 60_000 }, (scene) =>
    check(scene, { half_close: `${30 * slowness}s` }, 6));
