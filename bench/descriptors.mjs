// 1,000 clients for 128 descriptors, for a minute: who is served, who is refused, and what is left.
//
// usage: node bench/descriptors.mjs [SECONDS] [CLIENTS] [DESCRIPTORS]
import { scenario } from '../tests/e2e/lib/scene.mjs';
import { protocolTime } from '../tests/e2e/lib/wait.mjs';
import { another, get, world } from '../tests/e2e/lib/world.mjs';

const [seconds, clients, descriptors] = [60, 1000, 128].map((usual, i) =>
    Number(process.argv[2 + i] ?? usual));

function percentile(sorted, p) {
    return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] : NaN;
}

scenario('descriptors', { ms: (seconds + 60) * 1000 }, async (scene) => {
    const w = await world(scene, 'D', { config: { workers: 2 }, relay: {
        under: ['prlimit', `--nofile=${descriptors}:${descriptors}`], args: ['--log-level', 'info'] } });
    const before = w.relay.descriptors();
    const times = { 200: [], 503: [] };
    let cut = 0, other = 0;
    const end = performance.now() + seconds * 1000;
    const client = async () => {
        while (performance.now() < end) {
            const from = performance.now();
            const answer = await get(w, '/', { ms: 60_000 }).catch(() => null);
            if (!answer) cut++;
            else if (times[answer.status]) times[answer.status].push(performance.now() - from);
            else other++;
        }
    };
    const all = Array.from({ length: clients }, client);
    await protocolTime(seconds * 500);
    const from = performance.now();
    const second = await another(scene, w, 'D', 'second', { hosts: ['b.example'] });
    const joined = Math.round(performance.now() - from);
    await Promise.all(all);
    const stayed = !w.device.over;
    await second.device.stop();
    await protocolTime(3000);
    const line = [`seconds=${seconds} clients=${clients} descriptors=${descriptors}`];
    for (const status of [200, 503]) {
        const sorted = times[status].sort((a, b) => a - b);
        line.push(`${status === 200 ? 'served' : 'refused'}=${sorted.length}`,
            `p50_ms=${Math.round(percentile(sorted, 0.5))}`, `p99_ms=${Math.round(percentile(sorted, 0.99))}`);
    }
    line.push(`cut=${cut} other=${other} device_stayed=${stayed} device_joined_ms=${joined}`,
        `fds_before=${before} fds_after=${w.relay.descriptors()}`);
    console.log(line.join(' '));
});
