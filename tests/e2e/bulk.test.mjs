// A gigabyte, and what it costs in memory.  RVPN_E2E_BIG=1 runs the memory test in full.
import assert from 'node:assert/strict';
import { deviceProcess } from './lib/device_process.mjs';
import { big, measurable, slowness } from './lib/paths.mjs';
import { pattern, patternHash } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { HOST } from './lib/world.mjs';
import { Visitor, request } from './lib/visitors.mjs';

const MIB = 1 << 20;
const BULK = (measurable ? 1024 : 64) * MIB; // a sanitizer finds no more in the rest
const SIZE = `${BULK / MIB} MiB`;

async function worldOfTwoProcesses(scene, letter, config) {
    const relay = await scene.relay({ config });
    const device = await deviceProcess(scene, letter, { relay, hosts: [HOST] });
    return { relay, device };
}

// With OpenSSL's AES and, where there is one, the vectorised.
for (const [letter, aes] of [['D', 'auto'], ['D', 'off'], ['G', 'auto']])
    scenario(`class ${letter}, vector_aes ${aes}: ${SIZE} to a visitor, SHA-256 compared`, { ms: 120_000 }, async (scene) => {
        const { relay, device } = await worldOfTwoProcesses(scene, letter, { vector_aes: aes });
        scene.t.diagnostic(`aes: ${(await relay.counts()).aes}`);
        const before = relay.rss();
        const answer = await request({ port: relay.port, host: HOST, keep: false,
            path: `/download?bytes=${BULK}`, ms: 110_000 * slowness });
        assert.equal(answer.bytes, BULK);
        assert.equal(answer.sha256, patternHash(BULK));
        assert.ok(relay.rss() - before < 32 * MIB);
        assert.deepEqual((await device.ask()).violations, []);
    });

for (const aes of ['auto', 'off'])
    scenario(`class D, vector_aes ${aes}: ${SIZE} to a device, SHA-256 compared`, { ms: 120_000 }, async (scene) => {
        const { relay, device } = await worldOfTwoProcesses(scene, 'D', { vector_aes: aes });
        const before = relay.rss();
        // Written with regard to back-pressure: node would keep the gigabyte in memory otherwise.
        const answer = await upload(relay.port, BULK);
        assert.deepEqual(answer, { bytes: BULK, sha256: patternHash(BULK) });
        assert.ok(relay.rss() - before < 32 * MIB);
        const state = await device.ask();
        assert.deepEqual(state.violations, []);
    });

async function upload(port, bytes) {
    const visitor = await Visitor.connect({ port });
    await visitor.write(`POST /upload HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n` +
        `Content-Length: ${bytes}\r\n\r\n`);
    for (const piece of pattern(bytes))
        if (!visitor.socket.write(piece))
            await new Promise((resolve) => visitor.socket.once('drain', resolve));
    const text = await visitor.end(60_000 * slowness);
    return JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4).replace(/^[0-9a-f]+\r\n|\r\n0?\r\n.*$/gs, ''));
}

// Reads `rate` bytes a second.
async function slowVisitor(port, bytes, rate) {
    const visitor = await Visitor.connect({ port, pauseOnCreate: true });
    const { socket } = visitor;
    let seen = 0;
    const from = performance.now();
    socket.on('data', (d) => {
        seen += d.length;
        socket.pause();
        setTimeout(() => socket.resume(), Math.max(0, from + (seen / rate) * 1000 - performance.now()));
    });
    await visitor.write(`GET /download?bytes=${bytes} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`);
    return { socket, seen: () => seen };
}

// Downloads as fast as it can until its time is over; gives the bytes.
async function fastVisitor(port, bytes, end) {
    let all = 0;
    while (performance.now() < end)
        await request({ port, host: HOST, path: `/download?bytes=${bytes}`, keep: false,
            ms: 60_000, onData: (d, response) => {
                all += d.length;
                if (performance.now() > end) response.destroy();
            } }).catch((err) => {
            if (performance.now() < end) throw err;
        });
    return all;
}

const seconds = big ? 30 : 6;

scenario(`a visitor at 1 MB/s for ${seconds} s beside 5 fast ones costs no more than 32 MiB`,
    { ms: 120_000 }, async (scene) => {
        const { relay, device } = await worldOfTwoProcesses(scene, 'D');
        const before = relay.rss();
        let most = before;
        const watch = setInterval(() => (most = Math.max(most, relay.rss())), 100);
        scene.after(() => clearInterval(watch));
        const slow = await slowVisitor(relay.port, BULK, 1_000_000);
        const end = performance.now() + seconds * 1000;
        const fast = await Promise.all(Array.from({ length: 5 }, () =>
            fastVisitor(relay.port, 64 * MIB, end)));
        const state = await device.ask();
        slow.socket.destroy();
        const grown = most - before;
        scene.t.diagnostic(`relay grew by ${(grown / MIB).toFixed(1)} MiB; slow visitor ` +
            `${(slow.seen() / 1e6).toFixed(1)} MB, fast ones ` +
            `${(fast.reduce((a, b) => a + b) / 1e6).toFixed(0)} MB; ${state.pauses.received} pauses`);
        assert.ok(grown < 32 * MIB, `${grown} bytes`);
        assert.ok(slow.seen() > 0.5e6 * seconds, `the slow visitor got ${slow.seen()} bytes`);
        if (measurable) fast.forEach((n) => assert.ok(n > slow.seen(), 'a fast visitor was held by the slow one'));
        assert.deepEqual(state.violations, []);
    });
