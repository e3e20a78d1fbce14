// What happens when descriptors or memory run out: some are refused, and nobody else notices.
import assert from 'node:assert/strict';
import { ClassD } from './lib/devices.mjs';
import { measurable } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { protocolTime, until, within } from './lib/wait.mjs';
import { HOST, another, get, world } from './lib/world.mjs';
import { Visitor, handshake } from './lib/visitors.mjs';

const MIB = 1 << 20;
const hold = `GET /hold HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`;
const few = { relay: { under: ['prlimit', '--nofile=128:128'] } };

// Visitors that hold an answer each, until one is refused: those that were served.
async function fill(w) {
    const served = [];
    for (;;) {
        const visitor = await Visitor.connect({ port: w.relay.port });
        await visitor.write(hold);
        await visitor.until((text) => text.includes('\r\n\r\n'), 'an answer');
        if (!visitor.text.startsWith('HTTP/1.1 200')) {
            await visitor.end();
            visitor.destroy();
            return { served, refused: visitor.text };
        }
        served.push(visitor);
    }
}

const release = (visitors) => visitors.forEach((v) => v.destroy());

// Everything is as it was: no descriptor more, and visitors are served.
async function assertRecovered(w, before) {
    await until(() => w.relay.descriptors() <= before, () => `${before} descriptors`);
    assert.equal((await get(w)).status, 200);
}

scenario('the last descriptors are kept for devices and the relay\'s own pages', async (scene) => {
    const w = await world(scene, 'D', { ...few, tcp: 'echo', config: { workers: 2 } });
    const before = w.relay.descriptors();
    const { served, refused } = await fill(w);
    assert.ok(served.length > 60 && served.length < 112, `${served.length} served`);
    assert.match(refused, /^HTTP\/1\.1 503 /);
    assert.match(refused, /\r\nRetry-After: \d/);
    await assert.rejects(handshake({ port: w.relay.port, host: HOST, ca: w.https.ca }), /alert|ECONNRESET/);
    await Visitor.connect({ port: w.tcpPort }).then((raw) => raw.end(), () => {}); // a reset
    assert.equal((await w.relay.fetch('/')).status, 200);
    const { device } = await another(scene, w, 'D', 'second', { hosts: ['b.example'] });
    assert.equal((await get(w, '/', { host: 'b.example' })).status, 503);
    const counts = await w.relay.counts();
    assert.ok(counts.refused.descriptors >= 4);
    assert.ok(counts.descriptors > counts.descriptors_max - 20);
    release(served);
    await device.stop();
    await assertRecovered(w, before);
    assert.equal((await w.relay.waitFor('shortage')).fields.of, 'descriptors');
    await w.relay.waitFor('shortage_over');
});

scenario('who takes a descriptor and says nothing is dropped for who has something to say',
    async (scene) => {
        const w = await world(scene, 'D', { ...few,
            config: { workers: 2, sniff_timeout: '1m', handshake_timeout: '1m' } });
        const before = w.relay.descriptors();
        const { served } = await fill(w);
        const silent = [];
        for (let i = 0; i < 60; i++) silent.push(await Visitor.connect({ port: w.relay.port }));
        await w.relay.waitFor('accept_paused');
        const second = await another(scene, w, 'D', 'second', { hosts: ['b.example'] });
        assert.equal((await w.relay.fetch('/')).status, 200);
        assert.ok(w.relay.find('accept_paused').length <= 6, 'logged again and again');
        release([...served, ...silent]);
        await second.device.stop();
        await w.relay.waitFor('accept_resumed');
        await assertRecovered(w, before);
    });

scenario('hundreds that come again and again for 128 descriptors do not end it', async (scene) => {
    const w = await world(scene, 'D', { ...few, config: { workers: 2 } });
    const before = w.relay.descriptors();
    const seen = { served: 0, refused: 0, cut: 0 };
    let over = false;
    const client = async () => {
        while (!over) {
            const answer = await get(w, '/', { ms: 60_000 }).catch(() => null);
            if (!answer) seen.cut++;
            else if (answer.status === 200) seen.served++;
            else if (answer.status === 503) seen.refused++;
            else assert.fail(`status ${answer.status}`);
        }
    };
    const clients = Array.from({ length: 300 }, client);
    await until(() => seen.served > 100, 'some to be served');
    const { device } = await another(scene, w, 'D', 'second', { hosts: ['b.example'] });
    await until(() => seen.served > 400, 'more to be served');
    over = true;
    await Promise.all(clients);
    await device.stop();
    assert.equal(w.device.over, false);
    await assertRecovered(w, before);
});

// A visitor of a download that takes nothing until read().
async function idler(w, bytes) {
    const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
    await visitor.write(`GET /download?bytes=${bytes} HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close\r\n\r\n`);
    visitor.read = () => new Promise((resolve) => {
        let seen = 0;
        visitor.socket.on('data', (d) => (seen += d.length));
        visitor.socket.on('end', () => visitor.socket.end());
        visitor.socket.on('close', () => resolve(seen));
    });
    return visitor;
}

scenario('past memory_limit new visitors and devices wait until the old ones have read', { ms: 60_000 },
    async (scene) => {
        const w = await world(scene, 'D', { config: { workers: 2, memory_limit: '4MiB',
            stream_low: '128KiB', stream_high: '256KiB', visitor_stall: '10m' } });
        const bytes = 8 * MIB;
        const before = w.relay.rss();
        const idlers = [];
        for (let i = 0; i < 30; i++) idlers.push(await idler(w, bytes));
        await until(async () => (await w.relay.counts()).memory > 3.7 * MIB, 'memory to be used');
        assert.equal((await get(w)).status, 503);
        assert.equal((await w.relay.waitFor('shortage')).fields.of, 'memory');
        assert.ok(w.relay.rss() - before < 12 * MIB, `${w.relay.rss() - before} bytes more`);
        await assert.rejects(scene.device(ClassD, { relay: w.relay, token: w.token }), /503/);
        assert.ok((await w.relay.counts()).refused.memory >= 2);
        const whole = Promise.all(idlers.map((idle) => idle.read()));
        const lengths = await within(whole, 'whole downloads', 60_000);
        for (const length of lengths) // the last few were refused
            assert.ok(length > bytes || length < 2000, `${length} bytes`);
        assert.ok(lengths.filter((length) => length > bytes).length >= 10, `${lengths}`);
        await until(async () => (await get(w)).status === 200, 'room again');
        assert.equal((await w.relay.counts()).refused.no_resources, 0);
    });

scenario('what a load has taken is given back', { skip: !measurable }, async (scene) => {
    const w = await world(scene, 'D', { config: { workers: 2 } });
    for (let i = 0; i < 20; i++) await get(w);
    const before = w.relay.rss();
    const idlers = [];
    for (let i = 0; i < 24; i++) idlers.push(await idler(w, 16 * MIB));
    await until(() => w.relay.rss() - before > 10 * MIB, 'the relay to hold much');
    release(idlers);
    let busy = true;
    const talk = (async () => {
        while (busy) {
            await get(w);
            await protocolTime(20);
        }
    })();
    await until(() => w.relay.rss() - before < 8 * MIB, () => 'memory to be given back');
    busy = false;
    await talk;
});
