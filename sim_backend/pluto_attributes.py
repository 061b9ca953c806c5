"""The attributes of a Pluto: names, where they live, and values at power-up, as firmware v0.32 on a Rev. C has them.

One table, from which the context is built and in which the virtual radio finds what it does not compute.
"""

from dataclasses import dataclass, field

Values = dict[str, str]


@dataclass(frozen=True, kw_only=True)
class ChannelSpec:
    """kind: "input" or "output". scan: index and format."""

    id: str
    kind: str
    values: Values
    name: str = ""
    scan: tuple[int, str] | None = None


@dataclass(frozen=True, kw_only=True)
class DeviceSpec:
    """An IIO device and its attributes with their first values."""

    id: str
    name: str
    channels: tuple[ChannelSpec, ...]
    values: Values = field(default_factory=dict)
    debug: Values = field(default_factory=dict)
    buffer: Values = field(default_factory=dict)


SHARED = frozenset({  # one file for all channels of a kind and direction
    "bb_dc_offset_tracking_en", "filter_fir_en", "gain_control_mode_available", "quadrature_tracking_en",
    "rf_bandwidth", "rf_bandwidth_available", "rf_dc_offset_tracking_en", "rf_port_select_available", "samples_pps",
    "sampling_frequency", "sampling_frequency_available",
})  # fmt: skip
RX_PORTS = "A_BALANCED B_BALANCED C_BALANCED A_N A_P B_N B_P C_N C_P TX_MONITOR1 TX_MONITOR2 TX_MONITOR1_2"
TX_PORTS = "A B"
GAIN_MODES = "manual fast_attack slow_attack hybrid"
ENSM_MODES = "sleep wait alert fdd pinctrl pinctrl_fdd_indep"
CALIBRATIONS = "auto manual manual_tx_quad tx_quad rf_dc_offs rssi_gain_step"
GOVERNORS = "nominal highest_osr"
RATES = "[2083333 1 61440000]"
TX_GAINS = "[-89.750000 0.250000 0.000000]"
RX_BANDWIDTHS, TX_BANDWIDTHS = "[200000 1 56000000]", "[200000 1 40000000]"

LO = {
    "external": "0", "fastlock_load": "0", "fastlock_recall": "", "fastlock_save": "", "fastlock_store": "0",
    "frequency": "", "frequency_available": "", "powerdown": "",
}  # fmt: skip
RX_COMMON = {
    "bb_dc_offset_tracking_en": "1", "filter_fir_en": "", "gain_control_mode_available": GAIN_MODES,
    "quadrature_tracking_en": "1", "rf_bandwidth": "", "rf_bandwidth_available": RX_BANDWIDTHS,
    "rf_dc_offset_tracking_en": "1", "rf_port_select_available": RX_PORTS, "sampling_frequency": "",
    "sampling_frequency_available": RATES,
}  # fmt: skip
RX_PATH = RX_COMMON | {
    "gain_control_mode": "", "hardwaregain": "", "hardwaregain_available": "", "rf_port_select": "", "rssi": "",
}  # fmt: skip
AUX_ADC = RX_COMMON | {"offset": "57", "raw": "975", "scale": "0.305250"}
TX_COMMON = {
    "filter_fir_en": "", "rf_bandwidth": "", "rf_bandwidth_available": TX_BANDWIDTHS,
    "rf_port_select_available": TX_PORTS, "sampling_frequency": "", "sampling_frequency_available": RATES,
}  # fmt: skip
TX_PATH = TX_COMMON | {
    "hardwaregain": "", "hardwaregain_available": TX_GAINS, "rf_port_select": "", "rssi": "0.00 dB",
}  # fmt: skip
AUX_DAC = TX_COMMON | {"raw": "306", "scale": "1.000000"}

PHY = {
    "calib_mode": "auto", "calib_mode_available": CALIBRATIONS, "dcxo_tune_coarse": "",
    "dcxo_tune_coarse_available": "[0 0 0]", "dcxo_tune_fine": "", "dcxo_tune_fine_available": "[0 0 0]",
    "ensm_mode": "", "ensm_mode_available": ENSM_MODES, "filter_fir_config": "", "gain_table_config": "",
    "multichip_sync": "", "rssi_gain_step_error": "lna_error: 0 0 0 0\nmixer_error:" + 16 * " 0"
    + "\ngain_step_calib_reg_val: 0 0 0 0 0",
    "rx_path_rates": "", "trx_rate_governor": "nominal", "trx_rate_governor_available": GOVERNORS,
    "tx_path_rates": "", "xo_correction": "", "xo_correction_available": "",
}  # fmt: skip
PHY_DEBUG = {
    "digital_tune": "0", "calibration_switch_control": "0", "multichip_sync": "0", "gaininfo_rx2": "",
    "gaininfo_rx1": "", "bist_timing_analysis": "0", "gpo_set": "0", "bist_tone": "0", "bist_prbs": "0",
    "loopback": "", "initialize": "0",
}  # fmt: skip
# The device tree, as the driver shows it: "adi," and the name.
DEVICE_TREE = """
bb-clk-change-dig-tune-enable=0 axi-half-dac-rate-enable=0 txmon-2-lo-cm=48 txmon-1-lo-cm=48
txmon-2-front-end-gain=2 txmon-1-front-end-gain=2 txmon-duration=8192 txmon-delay=511
txmon-one-shot-mode-enable=0 txmon-dc-tracking-enable=0 txmon-high-gain=24 txmon-low-gain=0
txmon-low-high-thresh=37000 gpo3-tx-delay-us=0 gpo3-rx-delay-us=0 gpo2-tx-delay-us=0 gpo2-rx-delay-us=0
gpo1-tx-delay-us=0 gpo1-rx-delay-us=0 gpo0-tx-delay-us=0 gpo0-rx-delay-us=0 gpo3-slave-tx-enable=0
gpo3-slave-rx-enable=0 gpo2-slave-tx-enable=0 gpo2-slave-rx-enable=0 gpo1-slave-tx-enable=0
gpo1-slave-rx-enable=0 gpo0-slave-tx-enable=0 gpo0-slave-rx-enable=0 gpo3-inactive-state-high-enable=0
gpo2-inactive-state-high-enable=0 gpo1-inactive-state-high-enable=0 gpo0-inactive-state-high-enable=0
gpo-manual-mode-enable-mask=0 gpo-manual-mode-enable=0 aux-dac2-tx-delay-us=0 aux-dac2-rx-delay-us=0
aux-dac2-active-in-alert-enable=0 aux-dac2-active-in-tx-enable=0 aux-dac2-active-in-rx-enable=0
aux-dac2-default-value-mV=0 aux-dac1-tx-delay-us=0 aux-dac1-rx-delay-us=0
aux-dac1-active-in-alert-enable=0 aux-dac1-active-in-tx-enable=0 aux-dac1-active-in-rx-enable=0
aux-dac1-default-value-mV=0 aux-dac-manual-mode-enable=1 aux-adc-decimation=256 aux-adc-rate=40000000
temp-sense-decimation=256 temp-sense-periodic-measurement-enable=1 temp-sense-offset-signed=206
temp-sense-measurement-interval-ms=1000 elna-gaintable-all-index-enable=0 elna-rx2-gpo1-control-enable=0
elna-rx1-gpo0-control-enable=0 elna-bypass-loss-mdB=0 elna-gain-mdB=0 elna-settling-delay-ns=0
ctrl-outs-enable-mask=255 ctrl-outs-index=0 rssi-duration=1000 rssi-wait=1 rssi-delay=1
rssi-unit-is-rx-samples-enable=0 rssi-restart-mode=3 fagc-adc-large-overload-inc-steps=2
fagc-power-measurement-duration-in-state5=64 fagc-rst-gla-if-en-agc-pulled-high-mode=0
fagc-rst-gla-en-agc-pulled-high-enable=0 fagc-rst-gla-large-lmt-overload-enable=1
fagc-rst-gla-large-adc-overload-enable=1 fagc-energy-lost-stronger-sig-gain-lock-exit-cnt=8
fagc-rst-gla-engergy-lost-sig-thresh-below-ll=10 fagc-rst-gla-engergy-lost-goto-optim-gain-enable=1
fagc-rst-gla-engergy-lost-sig-thresh-exceeded-enable=1 fagc-rst-gla-stronger-sig-thresh-above-ll=10
fagc-optimized-gain-offset=5 fagc-rst-gla-stronger-sig-thresh-exceeded-enable=1
fagc-use-last-lock-level-for-set-gain-enable=1 fagc-gain-index-type-after-exit-rx-mode=0
fagc-gain-increase-after-gain-lock-enable=0 fagc-final-overrange-count=3 fagc-lmt-final-settling-steps=1
fagc-lpf-final-settling-steps=1 fagc-lock-level-gain-increase-upper-limit=5
fagc-lock-level-lmt-gain-increase-enable=1 fagc-lp-thresh-increment-steps=1
fagc-lp-thresh-increment-time=5 fagc-allow-agc-gain-increase-enable=0 fagc-state-wait-time-ns=260
fagc-dec-pow-measurement-duration=64 agc-immed-gain-change-if-large-lmt-overload-enable=0
agc-immed-gain-change-if-large-adc-overload-enable=0 agc-gain-update-interval-us=1000
agc-sync-for-gain-counter-enable=0 agc-dig-gain-step-size=4 agc-dig-saturation-exceed-counter=3
agc-lmt-overload-large-inc-steps=2 agc-lmt-overload-small-exceed-counter=10
agc-lmt-overload-large-exceed-counter=10 agc-adc-lmt-small-overload-prevent-gain-inc-enable=0
agc-adc-large-overload-inc-steps=2 agc-adc-large-overload-exceed-counter=10
agc-adc-small-overload-exceed-counter=10 agc-outer-thresh-low-inc-steps=2 agc-outer-thresh-low=18
agc-inner-thresh-low-inc-steps=1 agc-inner-thresh-low=12 agc-inner-thresh-high-dec-steps=1
agc-inner-thresh-high=10 agc-outer-thresh-high-dec-steps=2 agc-outer-thresh-high=5
agc-attack-delay-extra-margin-us=1 mgc-split-table-ctrl-inp-gain-mode=0 mgc-dec-gain-step=2
mgc-inc-gain-step=2 mgc-rx2-ctrl-inp-enable=0 mgc-rx1-ctrl-inp-enable=0
gc-use-rx-fir-out-for-dec-pwr-meas-enable=0 gc-max-dig-gain=15 gc-dig-gain-enable=0 gc-low-power-thresh=24
gc-dec-pow-measurement-duration=8192 gc-lmt-overload-low-thresh=704 gc-lmt-overload-high-thresh=800
gc-adc-large-overload-thresh=58 gc-adc-small-overload-thresh=47 gc-adc-ovr-sample-size=4 gc-rx2-mode=2
gc-rx1-mode=2 update-tx-gain-in-alert-enable=0 tx-attenuation-mdB=10000 rf-tx-bandwidth-hz=18000000
rf-rx-bandwidth-hz=18000000 qec-tracking-slow-mode-enable=0 dc-offset-count-low-range=50
dc-offset-count-high-range=40 dc-offset-attenuation-low-range=5 dc-offset-attenuation-high-range=6
dc-offset-tracking-update-event-mask=5 clk-output-mode-select=0 tx-lo-powerdown-managed-enable=1
trx-synthesizer-target-fref-overwrite-hz=80008000 rx1-rx2-phase-inversion-enable=0
tx-rf-port-input-select-lock-enable=1 rx-rf-port-input-select-lock-enable=1 tx-rf-port-input-select=0
rx-rf-port-input-select=0 split-gain-table-mode-enable=0 1rx-1tx-mode-use-tx-num=1
1rx-1tx-mode-use-rx-num=1 2rx-2tx-mode-enable=0 digital-interface-tune-fir-disable=1
digital-interface-tune-skip-mode=0 tx-fastlock-pincontrol-enable=0 rx-fastlock-pincontrol-enable=0
rx-fastlock-delay-ns=0 tx-fastlock-delay-ns=0 tdd-skip-vco-cal-enable=0 tdd-use-dual-synth-mode-enable=0
debug-mode-enable=0 ensm-enable-txnrx-control-enable=0 ensm-enable-pin-pulse-mode-enable=0
frequency-division-duplex-independent-mode-enable=0 frequency-division-duplex-mode-enable=1
"""
XADC = {  # id: name, raw, scale
    "voltage5": ("vccoddr", "1856", "0.732421875"), "voltage0": ("vccint", "1387", "0.732421875"),
    "voltage4": ("vccpaux", "2453", "0.732421875"), "temp0": ("", "", "123.040771484"),
    "voltage7": ("vrefn", "14", "0.732421875"), "voltage1": ("vccaux", "2455", "0.732421875"),
    "voltage2": ("vccbram", "1383", "0.732421875"), "voltage3": ("vccpint", "1387", "0.732421875"),
    "voltage8": ("", "3296", "0.244140625"), "voltage6": ("vrefp", "1721", "0.732421875"),
}  # fmt: skip
XADC_TEMPERATURE_OFFSET = -2219
BUFFER = {"data_available": "0", "length_align_bytes": "8", "watermark": "2048"}
RX_DATA = {
    "calibbias": "0", "calibphase": "0.000000", "calibscale": "1.000000", "samples_pps": "",
    "sampling_frequency": "", "sampling_frequency_available": "",
}  # fmt: skip
TX_DATA = {
    "calibphase": "0.000000", "calibscale": "1.000000", "sampling_frequency": "", "sampling_frequency_available": "",
}  # fmt: skip
DDS = {"frequency": "", "phase": "", "raw": "", "sampling_frequency": "", "scale": ""}
TDD = {
    "burst_count": "", "enable": "", "frame_length_ms": "", "frame_length_raw": "", "internal_sync_period_ms": "",
    "internal_sync_period_raw": "", "startup_delay_ms": "", "startup_delay_raw": "", "state": "",
    "sync_external": "", "sync_internal": "", "sync_reset": "", "sync_soft": "",
}  # fmt: skip
TDD_CHANNEL = {"enable": "", "off_ms": "", "off_raw": "", "on_ms": "", "on_raw": "", "polarity": ""}
