// Every age of client serves visitors through the relay: HTTP, TLS passthrough, raw TCP.
import assert from 'node:assert/strict';
import WebSocket, { WebSocketServer } from 'ws';
import { BANNER, patternBytes, patternHash, sha256 } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { within } from './lib/wait.mjs';
import { HOST, LETTERS, get, getTls, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const UPLOAD = 300_000;
const DOWNLOAD = 20_000_000;
const uploaded = patternBytes(UPLOAD);
const uploadAnswer = JSON.stringify({ bytes: UPLOAD, sha256: sha256(uploaded) });

async function streamsAreGone(w) {
    await w.relay.untilTunnels((list) => list.every((t) => t.streams_open === 0),
        'all streams to end');
}

for (const letter of LETTERS) {
    scenario(`class ${letter}: http by Host reaches the local server`, async (scene) => {
        const w = await world(scene, letter);
        const answer = await get(w, '/some/where?x=1');
        assert.equal(answer.status, 200);
        assert.equal(answer.body, `http GET /some/where?x=1 host=${HOST}`);
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: TLS reaches the local server untouched`, async (scene) => {
        const w = await world(scene, letter);
        // Verified against the service's own certificate: nobody between has read or written.
        const answer = await getTls(w, '/private');
        assert.equal(answer.body, `https GET /private host=${HOST}`);
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: a raw TCP visitor speaks first`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'echo' });
        const visitor = await Visitor.connect({ port: w.tcpPort });
        for (const word of ['hello\n', 'again\n']) {
            await visitor.write(word);
            await visitor.until((text) => text.endsWith(word), word);
        }
        visitor.destroy();
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: 300 kB sent back to back arrive in order`, async (scene) => {
        const w = await world(scene, letter);
        const options = { method: 'POST', body: uploaded };
        for (const ask of [get, getTls])
            for (let round = 0; round < 3; round++)
                assert.equal((await ask(w, '/upload', options)).body, uploadAnswer);
    });

    scenario(`class ${letter}: raw TCP sent back to back arrives in order`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'echo' });
        const visitor = await Visitor.connect({ port: w.tcpPort });
        for (let at = 0; at < UPLOAD; at += 1000)
            visitor.socket.write(uploaded.subarray(at, at + 1000));
        await visitor.until((text) => text.length >= UPLOAD, 'the echo of it all');
        assert.equal(sha256(visitor.received), sha256(uploaded));
        visitor.destroy();
    });

    scenario(`class ${letter}: 20 MB download, both ways of access`, async (scene) => {
        const w = await world(scene, letter);
        const expected = patternHash(DOWNLOAD);
        for (const ask of [get, getTls]) {
            const answer = await ask(w, `/download?bytes=${DOWNLOAD}`, { keep: false });
            assert.equal(answer.bytes, DOWNLOAD);
            assert.equal(answer.sha256, expected);
        }
    });

    scenario(`class ${letter}: a WebSocket visitor talks with the local server`, async (scene) => {
        const w = await world(scene, letter);
        for (const [url, service, options] of [
            [`ws://${HOST}:${w.relay.port}/chat`, w.http, {}],
            [`wss://${HOST}:${w.relay.port}/chat`, w.https, { ca: w.https.ca }],
        ]) {
            const server = new WebSocketServer({ server: service.server });
            server.on('connection', (s) => s.on('message', (d, binary) => s.send(d, { binary })));
            const lookup = (name, how, done) => how.all ? done(null, [{ address: '127.0.0.1', family: 4 }])
                : done(null, '127.0.0.1', 4);
            const ws = new WebSocket(url, { lookup, ...options });
            await within(new Promise((go, fail) => ws.on('open', go).on('error', fail)), url);
            for (const size of [1, 200, 100_000, 3]) {
                const sent = patternBytes(size);
                const back = new Promise((resolve) => ws.once('message', resolve));
                ws.send(sent);
                assert.equal(sha256(await within(back, 'the echo')), sha256(sent));
            }
            ws.close();
            await within(new Promise((resolve) => ws.on('close', resolve)), 'the close');
        }
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: 20 visitors at once`, async (scene) => {
        const w = await world(scene, letter);
        const visits = Array.from({ length: 20 }, (_, i) => (i % 2 ? get : getTls)(w, `/n/${i}`));
        const answers = await Promise.all(visits);
        answers.forEach((a, i) => assert.match(a.body, new RegExp(` GET /n/${i} `)));
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: 20 visitors that connect and go harm nobody`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'echo' });
        for (let i = 0; i < 20; i++) {
            const visitor = await Visitor.connect({ port: i % 2 ? w.tcpPort : w.relay.port });
            if (i % 4 === 0) visitor.reset();
            else visitor.destroy();
        }
        assert.equal((await get(w)).status, 200);
        assert.equal((await getTls(w)).status, 200);
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: 20 visitors that send a request and go harm nobody`, async (scene) => {
        const w = await world(scene, letter);
        for (let i = 0; i < 20; i++) {
            const visitor = await Visitor.connect({ port: w.relay.port });
            await visitor.write(`GET /download?bytes=1000000 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
            if (i % 2) visitor.reset();
            else visitor.destroy();
        }
        assert.equal((await get(w)).status, 200);
        await streamsAreGone(w);
    });

    scenario(`class ${letter}: a local server that is away ends the visit, not the tunnel`,
        async (scene) => {
            const w = await world(scene, letter);
            w.device.options.services = { ...w.device.options.services, https: 1 };
            await assert.rejects(getTls(w));
            assert.equal((await get(w)).status, 200);
        });
}

for (const letter of ['B', 'C', 'D'])
    scenario(`class ${letter}: a raw TCP server speaks first`, async (scene) => {
        const w = await world(scene, letter, { tcp: 'banner' });
        const visitor = await Visitor.connect({ port: w.tcpPort });
        await visitor.until((text) => text === BANNER, 'the banner');
        await visitor.write('and then the visitor\n');
        await visitor.until((text) => text.endsWith('visitor\n'), 'the echo');
        assert.equal(w.device.opened, 1);
        visitor.destroy();
        await streamsAreGone(w);
    });

for (const letter of ['A', 'G'])
    scenario(`class ${letter}: a server that would speak first does once the visitor has`,
        async (scene) => {
            const w = await world(scene, letter, { tcp: 'banner' });
            const visitor = await Visitor.connect({ port: w.tcpPort });
            await visitor.write('hello\n');
            await visitor.until((text) => text === `${BANNER}hello\n`, 'banner and echo');
            visitor.destroy();
        });

scenario('a relay without TLS to the device serves it as well', async (scene) => {
    for (const letter of LETTERS) {
        const w = await world(scene, letter, { device: { clear: true } });
        assert.equal((await get(w)).status, 200);
        assert.equal((await getTls(w)).status, 200);
    }
});
