// Tunnels and visitors that say nothing, in one relay: what each takes of its memory, all of them of
// its CPU, and what is left once they are gone.
import { Held } from './held.mjs';
import { cpuSeconds, peakBytes, rssBytes, sleep } from './process.mjs';
import { pinned, runLoad } from './subjects.mjs';

const SETTLE_MS = 2000;
const WATCH_MS = 3000;
const KIB = 1024;

const BUSY = [['down', 64], ['up', 64], ['ask', 1000]];

// Steps of one relay, in this order: "N tunnels", "N visitors", "after", "after bulk".
export async function holdIdle(one, [count, what]) {
    const relay = { pid: one.pids[0] };
    const before = rssBytes(relay);
    one.steps ??= { names: count, first: before, held: [] };
    const { names, first, held } = one.steps;
    if (count === 'after') {
        await Promise.all(held.map((load) => load.end()));
        for (const [work, visitors] of what ? BUSY : [])
            await runLoad([...pinned, ...one.args, '--work', work, '--visitors', visitors, '--seconds', 1]);
        await sleep(2 * SETTLE_MS);
        return { kib: (rssBytes(relay) - first) / KIB,
            text: `more than before any came; at most ${Math.round(peakBytes(relay) / KIB / KIB)} MiB in all` };
    }
    const args = what === 'tunnels' ? [...one.args, '--work', 'none', '--tunnels', count]
        : ['--visit', one.port, '--work', 'idle', '--visitors', count];
    held.push(await Held.start([...pinned, ...args, '--names', names]));
    await sleep(SETTLE_MS);
    const rss = rssBytes(relay), cpu = cpuSeconds(relay);
    await sleep(WATCH_MS);
    const used = ((cpuSeconds(relay) - cpu) / WATCH_MS) * 1e5;
    return { kib: (rss - before) / KIB / Number(count), text: `all: ${Math.round(rss / KIB / KIB)} MiB, ${
        used.toFixed(1)} % of a core` };
}
