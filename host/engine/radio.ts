// Wi-Fi links as the kernel's nl80211 tells of them (host/native/src/radio.rs).
import { loadAddon } from "./addon.ts";

/** A Wi-Fi interface that is a client. */
export interface Radio {
  name: string;
  associated: boolean;
  /** dBm, averaged by the driver; undefined = not told. */
  signalDbm?: number | undefined;
  /** At which frames were last sent. */
  bitrateKbps?: number | undefined;
  /** How often several beacons in a row were missed since it was associated. */
  beaconsLost?: number | undefined;
}

/** All of them as they are now; null: this kernel has no nl80211. Needs no privilege. Rejects if the kernel fails. */
export async function readRadios(): Promise<Radio[] | null> {
  return (await loadAddon().readRadios()) ?? null;
}
