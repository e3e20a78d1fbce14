// Where things are: the binary under test, the vectors, this test's own temporary folder.
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../../', import.meta.url));

export const binary = process.env.RVPN_BIN ?? path.join(root, 'build/release/rvpn');
export const golden = path.join(root, 'tests/vectors/mproxy-frames.json');

// Vectors that may not be copied into this repository are read in place; null where they are absent.
export function sharedVectors(name) {
    const folder = process.env.RVPN_SHARED_VECTORS ?? path.join(root, '../shared/vectors');
    const file = path.join(folder, name);
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
}

export const big = process.env.RVPN_E2E_BIG === '1';

// Which tests run, where not all are worth their time: a regular expression.
export const chosen = new RegExp(process.env.RVPN_E2E_ONLY ?? '');

// How much slower than a release build the binary under test may be (sanitizers): deadlines and
// measuring tolerances stretch by it.
export const slowness = Number(process.env.RVPN_E2E_SLOWNESS ?? 1);

// Whether its memory and speed say anything: a sanitizer's do not.
export const measurable = slowness === 1;

// A new folder of one test's own.
export function temporaryFolder() {
    return mkdtempSync(path.join(tmpdir(), 'rvpn-e2e-'));
}

// RVPN_E2E_KEEP=1 leaves it.
export function removeFolder(folder) {
    if (process.env.RVPN_E2E_KEEP !== '1') rmSync(folder, { recursive: true, force: true });
}
