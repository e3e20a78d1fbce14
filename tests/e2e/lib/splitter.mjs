// A proxy that hands a visitor's first bytes on in pieces of `step`, each in its own segment.
import net from 'node:net';

export async function splitter(scene, port, step, bytes = 4096) {
    const sockets = new Set();
    const server = net.createServer((near) => {
        const far = net.connect({ port, host: '127.0.0.1' });
        far.setNoDelay(true);
        for (const s of [near, far]) {
            sockets.add(s);
            s.on('error', () => {});
        }
        far.on('data', (d) => near.write(d));
        far.on('close', () => near.end());
        near.on('close', () => far.end());
        let left = bytes;
        let work = Promise.resolve();
        near.on('data', (d) => {
            work = work.then(async () => {
                for (let at = 0; at < d.length && left > 0; at += step, left -= step) {
                    await new Promise((done) => far.write(d.subarray(at, at + step), done));
                    await new Promise(setImmediate);
                }
                if (left <= 0) far.write(d.subarray(Math.min(d.length, bytes)));
            });
        });
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    scene.after(() => {
        server.close();
        for (const s of sockets) s.destroy();
    });
    return server.address().port;
}
