import { z } from 'zod'
import { detectorWindowMax } from '../base/limits.ts'
import { EWMA_LEAST, ewma } from './detectors/ewma.ts'
import type { Judgement } from './detectors/judgement.ts'
import { robustMad } from './detectors/modified-z.ts'
import { rollingAverage, SNAPSHOTS_NEEDED } from './detectors/rolling-average.ts'
import { rollingZ } from './detectors/rolling-z.ts'
import { seasonal, seasonalLeast } from './detectors/seasonal.ts'

const window = (least: number, usual: number) => z.int().min(least).max(detectorWindowMax).default(usual)

const anyDetector = z.discriminatedUnion('detector', [
  z.strictObject({ detector: z.literal('rolling-average') }),
  z.strictObject({
    detector: z.literal('rolling-z'),
    window: window(2, 20),
    threshold: z.number().positive().default(3),
  }),
  z.strictObject({
    detector: z.literal('ewma'),
    lambda: z.number().positive().max(1).default(0.2),
    limit: z.number().positive().default(3),
    window: window(EWMA_LEAST + 1, 50),
  }),
  z.strictObject({
    detector: z.literal('mad'),
    window: window(2, 20),
    threshold: z.number().positive().default(3.5),
  }),
  z.strictObject({
    detector: z.literal('seasonal'),
    period: z.int().min(2).max(400),
    cycles: z.int().min(2).max(100).default(8),
    threshold: z.number().positive().default(3.5),
  }),
])

export type Detector = z.output<typeof anyDetector>

/** How a tool's control metric is judged; each detector with what it can be told. */
export const detectorSchema = anyDetector
  .refine((wanted) => historyOf(wanted) <= detectorWindowMax, {
    error: `a detector looks at ${detectorWindowMax} snapshots at most`,
  })
  .refine((wanted) => wanted.detector !== 'seasonal' || historyOf(wanted) >= seasonalLeast(wanted), {
    error: 'these are too few cycles to tell a usual change from another',
  })

/** The predecessor's rule, as long as nothing else is said. */
export const DETECTOR_DEFAULT: Detector = { detector: 'rolling-average' }

/** The newest snapshots that a detector looks at. Pure. */
export function historyOf(wanted: Detector): number {
  switch (wanted.detector) {
    case 'rolling-average':
      return SNAPSHOTS_NEEDED
    case 'rolling-z':
    case 'mad':
      return wanted.window + 1
    case 'ewma':
      return wanted.window
    case 'seasonal':
      return wanted.period * wanted.cycles + 1
  }
}

/**
 * Judges the newest of `values`, oldest first and all finite. Pure.
 */
export function judge(values: readonly number[], wanted: Detector): Judgement {
  switch (wanted.detector) {
    case 'rolling-average':
      return rollingAverage(values)
    case 'rolling-z':
      return rollingZ(values, wanted)
    case 'ewma':
      return ewma(values, wanted)
    case 'mad':
      return robustMad(values, wanted)
    case 'seasonal':
      return seasonal(values, wanted)
  }
}
