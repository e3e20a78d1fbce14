// Installs what can be had of the peers, and notes in build/bench/peers.json which version, or why
// there is none: measuring happens where there is no network.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { tree } from '../process.mjs';
import { peers } from './index.mjs';

const found = {};
for (const peer of peers) {
    found[peer.name] = await peer.install()
        .then((version) => ({ version }), (err) => ({ why: err.message }));
    const { version, why } = found[peer.name];
    console.log(`${peer.name}: ${version ?? `none: ${why}`}`);
}
mkdirSync(path.join(tree, 'build/bench'), { recursive: true });
writeFileSync(path.join(tree, 'build/bench/peers.json'), JSON.stringify(found));
