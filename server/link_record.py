"""What a round's record says of its link: who was heard how, at what cost."""

import math
from typing import Any

import numpy as np

from radio.decibel import to_db
from radio.uplink import Plan, Reception, Sounding
from server.planning import phase_residuals

Record = dict[str, Any]


def record_link(record: Record, plan: Plan, sounding: Sounding, reception: Reception) -> None:
    record["devices"] = list(plan.devices)
    record["rho"] = (plan.scale * (plan.aim or 1.0) * record["outer_rate"]) ** 2
    if plan.threshold > 0.0:
        record["threshold"] = plan.threshold
        used = (sounding.channels[d].used(plan.num_elements, plan.threshold) for d in plan.devices)
        record["used_share"] = [float(np.mean(each)) for each in used]
    record["snr_db"] = -to_db(reception.noise_variance) if reception.noise_variance > 0.0 else None
    record["quality"] = reception.quality
    record["channel_uses"] = plan.num_elements + math.ceil(sum(reception.charges.values()))
    record["overhead_uses"] = sounding.overhead_elements + reception.overhead_elements
    record["airtime_s"] = sounding.airtime_s + reception.airtime_s
    powers = [float(np.mean(np.abs(sounding.channels[d].gains) ** 2)) for d in plan.devices]
    record["gain_db"] = [to_db(power) for power in powers]
    residuals = phase_residuals(sounding)
    known = (residuals[d] for d in plan.devices)
    record["phase_residual_rad"] = [rad if math.isfinite(rad) else None for rad in known]
    if reception.common_phase_rad:
        record["common_phase_rad"] = list(reception.common_phase_rad)
        record["residual_phase_rad"] = [list(reception.phase_residuals[d]) for d in plan.devices]
