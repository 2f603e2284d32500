/**
 * Where in its container a tool finds what it is given and leaves what it makes, and by which variables it is told so.
 * Tools are written for one of three houses:
 *
 * - `mao`, the predecessor's: the input dataset at `/usr/src/app/input`, further inputs at `/usr/src/app/inputs/<name>`,
 *   the output at `/usr/src/app/data`.
 * - `compute-to-data`, as operators of Ocean Protocol lay it out (oceanprotocol/operator-engine, resources.py,
 *   create_algorithm_job; oceanprotocol/pod-configuration; "Writing algorithms" of its documentation): the files of each
 *   input as `/data/inputs/<did>/<index>`, what describes them as `/data/ddos/<did>`, the output in `/data/outputs`.
 * - `service`, as the labels of the image say (images/service.ts).
 *
 * Pure; what has to be written beforehand is written by compute-to-data.ts and the runner of the step.
 */
import { basename } from 'node:path'
import type { PipelineStep } from '../catalogue/pipeline.ts'
import type { Mount } from '../engines/engine.ts'
import { placeOfInput, type ServiceDescription } from '../images/service.ts'

export const LAYOUTS = ['mao', 'compute-to-data', 'service'] as const
export type Layout = (typeof LAYOUTS)[number]

export const INPUT_PATH = '/usr/src/app/input'
export const INPUTS_PATH = '/usr/src/app/inputs'
export const DATA_PATH = '/usr/src/app/data'

/** The house of an algorithm that travels to the data. */
const VOLUME = '/data'
const OUTPUTS = `${VOLUME}/outputs`
const LOGS = `${VOLUME}/logs`
/** Where an operator puts the code of an algorithm that is no image, and what `$ALGO` in a command stands for. */
const ALGORITHM = `${VOLUME}/transformations/algorithm`
/** Directories of that house that are there before the algorithm begins, and that it only reads. */
export const COMPUTE_TO_DATA_DIRECTORIES = ['inputs', 'ddos', 'transformations'] as const

/** One input as it lies on this machine. */
export interface LaidInput {
  readonly name: string
  readonly path: string
  readonly isDirectory: boolean
}

export interface LayoutRequest {
  readonly layout: Layout
  readonly tool: string
  /** What the labels of the image say, for the layout `service`. */
  readonly service?: ServiceDescription | undefined
  /** The directory that becomes the commit. */
  readonly data: string
  /** The tree of the input dataset. */
  readonly input?: string | undefined
  /** Inputs beside the dataset. */
  readonly inputs: readonly LaidInput[]
  /** For `compute-to-data`: where its directories were written, and the ids under which the inputs lie in them. */
  readonly house?: { readonly directory: string; readonly logs: string; readonly dids: readonly string[] }
}

export interface Laid {
  readonly mounts: Mount[]
  readonly environment: Record<string, string>
  /** Below `data`: directories that have to be there for the tool to write into. */
  readonly directories: string[]
}

/** Which house a step wants: what it says, else what the labels of its image say, else the predecessor's. */
export function layoutNameOf(
  step: Pick<PipelineStep, 'layout'>,
  tool: { service?: ServiceDescription | undefined },
): Layout {
  return step.layout ?? (tool.service === undefined ? 'mao' : 'service')
}

export function layoutOf(request: LayoutRequest): Laid {
  switch (request.layout) {
    case 'mao':
      return mao(request)
    case 'compute-to-data':
      return computeToData(request)
    case 'service':
      return service(request)
  }
}

/**
 * What a filter sees: the output, and none of the inputs. It is in every place where a filter may look for it, since one
 * that finds nothing where it looks says that all is well.
 */
export function filterLayoutOf(layout: Layout, tool: string, data: string): Laid {
  const mounts = [DATA_PATH, OUTPUTS].map((target) => ({ source: data, target, readOnly: false }))
  const environment = layout === 'compute-to-data' ? computeToDataVariables(tool, []) : {}
  return { mounts, environment, directories: [] }
}

function mao({ data, input, inputs }: Pick<LayoutRequest, 'data' | 'input' | 'inputs'>): Laid {
  const mounts: Mount[] = [{ source: data, target: DATA_PATH, readOnly: false }]
  if (input !== undefined) mounts.push({ source: input, target: INPUT_PATH, readOnly: true })
  for (const { name, path } of inputs)
    mounts.push({ source: path, target: `${INPUTS_PATH}/${name}`, readOnly: true })
  return { mounts, environment: {}, directories: [] }
}

function computeToData({ tool, data, house }: LayoutRequest): Laid {
  if (house === undefined) return { mounts: [], environment: {}, directories: [] }
  const mounts: Mount[] = COMPUTE_TO_DATA_DIRECTORIES.map((name) => {
    return { source: `${house.directory}/${name}`, target: `${VOLUME}/${name}`, readOnly: true }
  })
  mounts.push({ source: data, target: OUTPUTS, readOnly: false })
  mounts.push({ source: house.logs, target: LOGS, readOnly: false })
  return { mounts, environment: computeToDataVariables(tool, house.dids), directories: [] }
}

function computeToDataVariables(tool: string, dids: readonly string[]): Record<string, string> {
  return {
    DIDS: JSON.stringify(dids),
    TRANSFORMATION_DID: tool,
    VOLUME,
    LOGS,
    INPUTS: `${VOLUME}/inputs`,
    OUTPUTS,
    ALGO: ALGORITHM,
  }
}

/** The predecessor's directories are there too: for the dataset that a step reads, and for control files. */
function service({ service: described, data, input, inputs }: LayoutRequest): Laid {
  const { mounts } = mao({ data, input, inputs: [] })
  const directories: string[] = []
  for (const wanted of described?.inputs ?? []) {
    const given = inputs.find(({ name }) => name === wanted.name)
    if (given === undefined) continue
    const place = placeOfInput(wanted)
    const isPlace = given.isDirectory || wanted.type === 'string'
    const target = isPlace ? place : `${place}/${wanted.filename ?? basename(given.path)}`
    mounts.push({ source: given.path, target, readOnly: true })
  }
  for (const { name, path } of described?.outputs ?? []) {
    directories.push(name)
    mounts.push({ source: `${data}/${name}`, target: path, readOnly: false })
  }
  return { mounts, environment: {}, directories }
}
