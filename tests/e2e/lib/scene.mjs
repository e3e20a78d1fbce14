// One end-to-end test: its relays, devices and services, closed at the end, with the relays' logs
// printed when it fails.  Two things hold in every scene without being asked: no device has seen the
// relay break a rule of its age, and no token or secret has reached a log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chosen, removeFolder, slowness, temporaryFolder } from './paths.mjs';
import { Relay } from './relay.mjs';
import { deferred, within } from './wait.mjs';

class Scene {
    constructor(t) {
        this.t = t;
        this.relays = [];
        this.devices = [];
        this.closers = [];
        this.broken = deferred();
        this.broken.promise.catch(() => {});
    }

    // Runs `close` when the scene ends, last come first.
    after(close) {
        this.closers.push(close);
    }

    folder() {
        const folder = temporaryFolder();
        this.after(() => removeFolder(folder));
        return folder;
    }

    relay(options) {
        return Relay.start(this, options);
    }

    // Makes a device of class `Kind` and connects it; see devices.mjs.
    async device(Kind, options) {
        const device = new Kind(options);
        this.adopt(device);
        await device.start();
        return device;
    }

    // As device(), for one that is not expected to get in.
    adopt(device) {
        this.devices.push(device);
        device.onViolation = (why) => this.broken.reject(new Error(why));
        this.after(() => device.stop());
        return device;
    }

    assertClean() {
        for (const device of this.devices) assert.deepEqual(device.violations, []);
        for (const relay of this.relays)
            assert.deepEqual(relay.leaks(), [], 'tokens or secrets in the log');
    }

    // Everything is closed, whatever of it fails; the first failure counts.
    async close() {
        const failures = [];
        for (const close of this.closers.reverse())
            await Promise.resolve().then(close).catch((err) => failures.push(err));
        if (failures.length) throw failures[0];
    }
}

// A test whose body gets a Scene.  `ms` is its one deadline.
export function scenario(name, ...rest) {
    const body = rest.pop();
    const { ms = 30_000, skip = false } = rest[0] ?? {};
    if (!chosen.test(name)) return;
    test(name, { skip }, async (t) => {
        const scene = new Scene(t);
        try {
            await within(Promise.race([body(scene), scene.broken.promise]), name, ms * slowness);
            scene.assertClean();
        } catch (err) {
            for (const relay of scene.relays) relay.printLog(name);
            throw err;
        } finally {
            await scene.close();
        }
    });
}
