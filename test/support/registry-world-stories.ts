/** The stories that the simulations tell, each for many seeds; ten thousand together. */
import { DAY_MS } from '../../src/base/limits.ts'
import { CALM } from './registry-world.ts'
import { MINUTES, SKEWED, STORM, type Story, WEEKS } from './registry-world-plan.ts'

export interface Tale {
  readonly seeds: number
  readonly story: (seed: number) => Omit<Story, 'seed'>
}

const size = (seed: number) => 2 + (seed % 3)

export const HONEST = {
  'in calm weather everybody holds and shows the same': {
    seeds: 600,
    story: (seed) => ({ nodes: size(seed), weather: CALM, pace: MINUTES, writes: 20 }),
  },
  'lost, doubled, reordered and late records, partitions and crashes leave one registry': {
    seeds: 2_400,
    story: (seed) => ({
      ...{ nodes: size(seed), weather: STORM, pace: MINUTES, writes: 18 },
      ...{ partitions: seed % 3, crashes: seed % 4 },
    }),
  },
  'clocks that are an hour wrong make records late, and nothing else': {
    seeds: 700,
    story: (seed) => ({
      ...{ nodes: size(seed), weather: STORM, pace: SKEWED, writes: 16 },
      ...{ partitions: 1, crashes: seed % 2 },
    }),
  },
  'what was deleted stays deleted over weeks, whoever was away meanwhile': {
    seeds: 1_200,
    story: (seed) => ({
      ...{ nodes: size(seed), weather: STORM, pace: WEEKS, writes: 18 },
      ...{ partitions: seed % 2, crashes: 1 + (seed % 2), awayMaxMs: 28 * DAY_MS },
    }),
  },
  'many records at once come by catch-up, however often it is cut': {
    seeds: 100,
    story: () => ({
      ...{ nodes: 3, weather: { ...STORM, loss: 0.7 }, pace: MINUTES, writes: 8, bulk: 140 },
      ...{ partitions: 1, crashes: 1 },
    }),
  },
} satisfies Record<string, Tale>

export const LYING = {
  'members that lie in every way they can change nothing but their own records': {
    seeds: 2_800,
    story: (seed) => ({
      ...{ nodes: seed % 5 === 0 ? 5 : 3 + (seed % 2), liars: seed % 5 === 0 ? 2 : 1, writes: 14 },
      ...{ weather: seed % 7 === 0 ? CALM : STORM, pace: MINUTES, partitions: seed % 2, crashes: seed % 3 },
    }),
  },
  'nor do they where clocks are an hour wrong': {
    seeds: 500,
    story: () => ({ nodes: 4, weather: STORM, pace: SKEWED, writes: 12, liars: 1, partitions: 1 }),
  },
  'nor over weeks': {
    seeds: 500,
    story: () => ({ nodes: 4, weather: STORM, pace: WEEKS, writes: 12, liars: 1, crashes: 1 }),
  },
  'operators admit and remove members while these write': {
    seeds: 900,
    story: (seed) => ({
      ...{ nodes: 4, weather: STORM, pace: MINUTES, writes: 22, churn: true },
      ...{ partitions: seed % 2, crashes: seed % 2 },
    }),
  },
  'more members claim a name than there is room for: everybody keeps and shows the same ones': {
    seeds: 300,
    story: () => ({ nodes: 3, weather: STORM, pace: MINUTES, writes: 8, crowd: 20, partitions: 1 }),
  },
} satisfies Record<string, Tale>

export const TALES: Readonly<Record<string, Tale>> = { ...HONEST, ...LYING }
