// Visitors of one tunnel share it: nobody waits long behind those that move much, nobody is
// forgotten.  bench/run.sh fair has the figures.
import assert from 'node:assert/strict';
import { pattern, patternHash } from './lib/services.mjs';
import { scenario } from './lib/scene.mjs';
import { throttle } from './lib/throttle.mjs';
import { until } from './lib/wait.mjs';
import { another, get, world } from './lib/world.mjs';
import { Visitor, request } from './lib/visitors.mjs';

const SLOW_HOST = 'slow.example';
const UPLOADS = 8;
const BYTES = 600_000;
const RATE = 2_000_000; // bytes a second

// A device behind a slow link, and visitors that send it more than that takes.  Gives when each
// was answered, in ms from the start.
async function uploads(scene) {
    const w = await world(scene, 'D');
    const port = await throttle(scene, w.relay.port, RATE);
    // Not judged: how long a first frame was alone is not to be seen from behind such a link.
    const { device } = await another(scene, w, 'D', 'slow',
        { hosts: [SLOW_HOST], port, judge: false });
    const from = performance.now();
    const done = Promise.all(Array.from({ length: UPLOADS }, async () => {
        const { status, body } = await request({ port: w.relay.port, host: SLOW_HOST, method: 'POST',
            path: '/upload', body: pattern(BYTES), headers: { 'Content-Length': BYTES } });
        assert.equal(status, 200);
        assert.deepEqual(JSON.parse(body), { bytes: BYTES, sha256: patternHash(BYTES) });
        return performance.now() - from;
    }));
    done.catch(() => {}); // whoever awaits it is told
    return { w, device, done };
}

scenario('a small request is answered while eight uploads still have most to go', async (scene) => {
    const { w, device, done } = await uploads(scene);
    await until(() => device.received > (UPLOADS * BYTES) / 8, 'the uploads to be under way');
    const { status } = await request({ port: w.relay.port, host: SLOW_HOST });
    assert.equal(status, 200);
    assert.ok(device.received < (UPLOADS * BYTES) / 2, `behind ${device.received} bytes`);
    await done;
});

scenario('eight uploads through one tunnel are done at about the same time', async (scene) => {
    const { done } = await uploads(scene);
    const times = await done;
    const [first, last] = [Math.min(...times), Math.max(...times)];
    assert.ok(first > last / 2, `the first after ${first} ms, the last after ${last} ms`);
});

scenario('twenty visitors are served beside one that takes nothing', async (scene) => {
    const w = await world(scene, 'D');
    const bytes = 1 << 20;
    const stalled = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
    scene.after(() => stalled.destroy());
    await stalled.write(`GET /download?bytes=50000000 HTTP/1.1\r\nHost: a.example\r\n\r\n`);
    await until(() => w.device.pauses.received > 0, 'the device to be asked to pause');
    const answers = await Promise.all(Array.from({ length: 20 }, () =>
        get(w, `/download?bytes=${bytes}`, { keep: false })));
    for (const { sha256 } of answers) assert.equal(sha256, patternHash(bytes));
    assert.equal(w.device.paused.size, 1);
});
