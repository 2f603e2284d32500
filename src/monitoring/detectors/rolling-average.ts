import { compared, figure, isBeyond, type Judgement } from './judgement.ts'

/** How far from the rolling average the newest value may lie, in either direction (MAO.md, spike rule). */
export const SPIKE_PERCENT = 6
/** The newest value and the two before it. */
export const SNAPSHOTS_NEEDED = 3

/**
 * The predecessor's rule: with at least three values, the newest is compared with the mean of the two before it, and
 * more than 6 % above or below is a spike. Any departure from an average of zero is one.
 *
 * @param values oldest first, all finite.
 */
export function rollingAverage(values: readonly number[]): Judgement {
  const detector = 'rolling-average'
  const [first, second, value] = values.slice(-SNAPSHOTS_NEEDED)
  if (first === undefined || second === undefined || value === undefined) {
    const newest = values.at(-1)
    const why = `${SNAPSHOTS_NEEDED} snapshots are needed and there are ${values.length}`
    return { verdict: 'too-few-snapshots', detector, why, ...(newest === undefined ? {} : { value: newest }) }
  }
  const average = (first + second) / 2
  const size = Math.abs(average)
  const allowed = (size * SPIKE_PERCENT) / 100
  const beyond = isBeyond(Math.abs(value - average), allowed, size)
  const told = compared(value, average)
  const away = told.gainPercent === undefined ? 'away' : `${figure(told.gainPercent)} % away`
  const why = `${figure(value)} is ${away} from the mean ${figure(average)} of the two before it; ${SPIKE_PERCENT} % are allowed`
  return { verdict: beyond ? 'spike' : 'steady', detector, ...told, threshold: SPIKE_PERCENT, why }
}
