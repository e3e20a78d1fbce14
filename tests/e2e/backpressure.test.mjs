// A slow end holds the other one: what waits in between is bounded, nothing is lost, and who takes
// nothing for too long goes.  Both directions, for devices that know pause and those that do not.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { manualService, pattern, patternHash } from './lib/services.mjs';
import { measurable, slowness } from './lib/paths.mjs';
import { scenario } from './lib/scene.mjs';
import { protocolTime, until, within } from './lib/wait.mjs';
import { HOST, LETTERS, get, world } from './lib/world.mjs';
import { Visitor } from './lib/visitors.mjs';

const MIB = 1 << 20;
const BULK = 48 * MIB;
// The marks of the configuration and what one read may bring on top; and what the kernels hold.
const RELAY_MOST = 16 * MIB;
const BETWEEN_MOST = 40 * MIB;

const download = (bytes) => `GET /download?bytes=${bytes} HTTP/1.1\r\nHost: ${HOST}\r\n` +
    'Connection: close\r\n\r\n';

// Until `count()` has not grown for a while; gives it.
async function stalled(count, what) {
    let last = -1;
    await until(async () => {
        if (count() === last) return true;
        last = count();
        await protocolTime(250 * slowness);
        return false;
    }, what);
    return last;
}

// The body of the answer that `socket` brings, which is not read before go().
function bodyOf(socket) {
    const hash = createHash('sha256');
    let head = Buffer.alloc(0);
    let bytes = -1; // before the body
    const take = (d) => {
        if (bytes < 0) {
            head = Buffer.concat([head, d]);
            const at = head.indexOf('\r\n\r\n');
            if (at < 0) return;
            bytes = 0;
            d = head.subarray(at + 4);
        }
        bytes += d.length;
        hash.update(d);
    };
    const over = new Promise((resolve, reject) => socket.on('end', resolve).on('error', reject));
    over.catch(() => {});
    return { go: () => socket.on('data', take), over, bytes: () => bytes, hash: () => hash.digest('hex') };
}

for (const letter of LETTERS)
    scenario(`class ${letter}: a visitor that does not read holds its service, then gets all`,
        async (scene) => {
            const w = await world(scene, letter);
            const before = w.relay.rss();
            const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
            const body = bodyOf(visitor.socket);
            await visitor.write(download(BULK));
            const sent = await stalled(() => w.device.sent, 'the device to be held');
            assert.ok(sent > 4 * MIB && sent < BETWEEN_MOST, `${sent} bytes sent`);
            assert.ok(w.relay.rss() - before < RELAY_MOST, `${w.relay.rss() - before} bytes held`);
            assert.ok((await w.relay.tunnels())[0].queued_to_visitor > 0);
            const other = get(w);
            if (w.device.traits.takesFlow) assert.equal((await other).status, 200);
            body.go();
            await within(body.over, 'the end of the download');
            assert.equal(body.bytes(), BULK);
            assert.equal(body.hash(), patternHash(BULK));
            assert.equal((await other).status, 200);
            await until(async () => (await w.relay.tunnels())[0].queued_to_visitor === 0, 'none');
        });

for (const letter of LETTERS)
    scenario(`class ${letter}: a device that does not read holds its visitors, then gets all`,
        async (scene) => {
            const w = await world(scene, letter, { tcp: 'echo' });
            const manual = await manualService(scene);
            w.device.options.services = { ...w.device.options.services, tcp: manual.port };
            const before = w.relay.rss();
            const visitor = await Visitor.connect({ port: w.tcpPort });
            await visitor.write('first');
            const service = await within(manual.accepted(), 'the local connection');
            await within(new Promise((resolve) => service.once('data', resolve)), 'the first bytes');
            const hash = createHash('sha256');
            let heard = 0;
            service.on('data', (d) => {
                heard += d.length;
                hash.update(d);
            });
            w.device.transport.pause();
            let taken = 0; // by the kernel
            const upload = (async () => {
                for (const piece of pattern(BULK)) {
                    await visitor.write(piece);
                    taken += piece.length;
                }
            })();
            const held = await stalled(() => taken, 'the visitor to be held');
            assert.ok(held > MIB && held < BETWEEN_MOST, `${held} bytes taken`);
            assert.ok(w.relay.rss() - before < RELAY_MOST, `${w.relay.rss() - before} bytes held`);
            assert.ok(heard < held);
            assert.ok((await w.relay.tunnels())[0].queued_to_device > 0);
            w.device.transport.resume();
            await within(upload, 'the upload');
            await until(() => heard === BULK, 'all of it');
            assert.equal(hash.digest('hex'), patternHash(BULK));
            await until(async () => (await w.relay.tunnels())[0].queued_to_device === 0, 'none');
            visitor.destroy();
        });

for (const letter of LETTERS)
    scenario(`class ${letter}: visitor_stall closes who takes nothing, and the others go on`,
        async (scene) => {
            const w = await world(scene, letter, { config: { visitor_stall: '1s' } });
            const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
            await visitor.write(download(BULK));
            const end = await w.relay.waitFor((e) => e.fields.why === 'visitor_stalled');
            assert.ok(Number(end.fields.dropped) > 0);
            assert.ok(Number(end.fields.dropped) < Number(end.fields.to_visitor));
            assert.equal((await get(w)).status, 200);
            await until(() => w.device.streams.size === 0, 'the device to know');
            const [tunnel] = await w.relay.tunnels();
            assert.equal(tunnel.payload_dropped, Number(end.fields.dropped));
            visitor.destroy();
        });

// A MiB a second, which frees room in the kernel's buffer every two; asked of who holds up the others
// are 8 MiB in three.
for (const letter of ['A', 'G'])
    scenario(`class ${letter}: a visitor that drips cannot hold up its tunnel`, async (scene) => {
        const w = await world(scene, letter, { config: { visitor_stall: '3s', stream_low: '8MiB',
            stream_high: '12MiB', stream_hard: '16MiB' } });
        const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
        const { socket } = visitor;
        await visitor.write(download(4 * BULK));
        await stalled(() => w.device.sent, 'the tunnel to be blocked');
        const timer = setInterval(() => socket.read(262_144), 250);
        scene.after(() => clearInterval(timer));
        socket.pause();
        const waits = get(w);
        await w.relay.waitFor((e) => e.fields.why === 'visitor_stalled');
        assert.equal((await waits).status, 200);
        visitor.destroy();
    });

scenario('200 aborted downloads leave nothing behind', { ms: 60_000 }, async (scene) => {
    const w = await world(scene, 'D', { config: { workers: 1 } });
    const abort = async () => {
        const visitor = await Visitor.connect({ port: w.relay.port, pauseOnCreate: true });
        await visitor.write(download(4 * MIB));
        await within(new Promise((resolve) => visitor.socket.once('readable', resolve)), 'a byte');
        visitor.reset();
    };
    const round = async (times) => {
        for (let i = 0; i < times; i += 10) await Promise.all(Array.from({ length: 10 }, abort));
        await w.relay.untilTunnels(([t]) => t.streams_open === 0, 'the streams to end');
        return w.relay.rss();
    };
    const before = await round(100);
    const after = await round(200);
    if (measurable) assert.ok(after - before < 8 * MIB, `${before} bytes, then ${after}`);
    assert.equal((await get(w)).status, 200);
});
