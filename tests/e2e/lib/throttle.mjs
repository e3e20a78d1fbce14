// A proxy that hands on what comes from `port` at `rate` bytes a second: a slow link to a device.
import net from 'node:net';

export async function throttle(scene, port, rate) {
    const sockets = new Set();
    const server = net.createServer((near) => {
        const far = net.connect({ port, host: '127.0.0.1' });
        let free = 0; // when what has been handed on is through
        for (const s of [near, far]) {
            sockets.add(s);
            s.setNoDelay(true);
            s.on('error', () => {});
        }
        near.pipe(far);
        far.on('data', (d) => {
            const now = performance.now();
            free = Math.max(free, now) + (d.length / rate) * 1000;
            near.write(d);
            far.pause();
            setTimeout(() => far.resume(), free - now);
        });
        far.on('close', () => near.destroy());
        near.on('close', () => far.destroy());
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    scene.after(() => {
        server.close();
        for (const s of sockets) s.destroy();
    });
    return server.address().port;
}
