// The page that the example device serves.
export function page({ host, secure, port }) {
    const how = secure
        ? 'TLS from your browser to this device: the relay passed every byte on unread.'
        : 'Clear HTTP, which the relay routed by the Host header.';
    return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hello from a device</title>
<style>
    :root { color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }
    body { margin: 15vh auto; max-width: 34rem; padding: 0 1rem; }
</style>
<h1>Hello from behind the relay</h1>
<p>You asked for <strong>${escape(host)}</strong>. A small Node program answered from local port
${port}, to which nothing from outside can connect.</p>
<p>${how}</p>
`;
}

function escape(text) {
    return String(text).replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
}
