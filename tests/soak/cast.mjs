// Who takes part: tenants, the devices of each, and how much visitors like them.
//
// A tenant is a subject with names and a port of its own; its devices are of one or two ages (see
// ../e2e/lib/devices.mjs) and all serve all of its names.  `link`: the device's way to the relay
// goes through chaos.  `clear`: without TLS.
const kinds = [
    { classes: 'CC', weight: 4 }, // pause and resume
    { classes: 'DD', weight: 4 }, // the same, two messages a frame, the real proxy-packer
    { classes: 'BC', weight: 2 }, // token in the URL and again by add_token
    { classes: 'AA', weight: 2 }, // knows no pause, looks for names in the bytes itself
    { classes: 'CDC', weight: 3, clear: true },
    { classes: 'GG', weight: 0.5, services: ['http', 'https'] }, // fragments, eight fields
];
const SERVICES = ['http', 'https', 'tcp'];

// The first `count` devices or more: whole tenants.
export function cast(count) {
    const tenants = [];
    const devices = [];
    for (let tenant = 0; devices.length < count || tenant < kinds.length; tenant++) {
        const { classes, weight, clear = false, services = SERVICES } = kinds[tenant % kinds.length];
        tenants.push({ tenant, weight, services, host: `t${tenant}.soak.example`,
            subject: `owner-${tenant}` });
        for (const [i, letter] of [...classes].entries())
            devices.push({ device: devices.length, tenant, letter, clear, link: i % 2 === 0 });
    }
    return { tenants, devices };
}
