#include "meter/meter.h"

const char *const meter_name[METER_IDS] = {
    [METER_WIRE_FROM_DEVICE] = "wire_from_device",
    [METER_WIRE_TO_DEVICE] = "wire_to_device",
    [METER_PAYLOAD_TO_DEVICE] = "payload_to_device",
    [METER_PAYLOAD_TO_VISITOR] = "payload_to_visitor",
    [METER_PAYLOAD_DROPPED] = "payload_dropped",
    [METER_FRAMES_FROM_DEVICE] = "frames_from_device",
    [METER_FRAMES_TO_DEVICE] = "frames_to_device",
    [METER_STREAMS] = "streams",
    [METER_STREAMS_OPEN] = "streams_open",
    [METER_STREAMS_REFUSED] = "streams_refused",
    [METER_QUEUED_TO_DEVICE] = "queued_to_device",
    [METER_QUEUED_TO_VISITOR] = "queued_to_visitor",
};

void meter_sum(const struct meter *m, uint64_t sum[METER_IDS])
{
    for (unsigned id = 0; id < METER_IDS; id++)
        sum[id] += meter_read(m, (enum meter_id)id);
}
