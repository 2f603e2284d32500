/** A federation: how soon a newcomer is part of it, how nodes find each other, and what it costs to be many. */

import { joining } from './federation-join.ts'
import { lanDiscovery } from './federation-lan.ts'
import { crowd } from './federation-many.ts'
import { presenceOfMany } from './federation-presence.ts'
import { median, type Row, row } from './figures.ts'
import type { Bench } from './harness.ts'

const LAN_REPETITIONS = { full: 10, quick: 4 }

export const federation: Bench = {
  about:
    'joining, discovery on a LAN, fifty nodes, a listing to all, and the traffic of presence; against etcd',
  async run(work) {
    const rows: Row[] = [await joining(work)]
    const repetitions = work.size(LAN_REPETITIONS.full, LAN_REPETITIONS.quick)
    work.say(`a node that is found on a LAN, ${repetitions} times`)
    const { connectedMs, readyMs } = await lanDiscovery(work, repetitions)
    const found = connectedMs.map((ms, n) => Math.max(0, ms - (readyMs[n] ?? 0)))
    rows.push(
      row({
        name: 'on a LAN: start of the process to connected, median',
        ours: median(connectedMs),
        anchor: null,
        unit: 'ms',
        aim: 'a minute is too long',
      }),
      row({
        name: 'on a LAN: ready to connected, median',
        ours: median(found),
        anchor: null,
        unit: 'ms',
        aim: '<= 1000',
      }),
    )
    // In this process, smallest first; each crowd is gone before the next one comes.
    for (const count of [10, 50]) rows.push(...(await crowd(work, count)))
    // Two hundred whole nodes are more than one process can keep awake; what presence costs is told by their registries.
    if (!work.quick) rows.push(await presenceOfMany(work, 200))
    return rows
  },
}
