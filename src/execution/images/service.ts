/**
 * Images that say of themselves what they do: the labels `eudat.gef.service.*` of the EUDAT Generic Execution
 * Framework, which name a service with its version and say where in the container its inputs and outputs are. Read
 * strictly, since a misspelt label would otherwise be an input that never comes. Pure.
 *
 *     LABEL "eudat.gef.service.name"="Word count"
 *     LABEL "eudat.gef.service.version"="1.2"
 *     LABEL "eudat.gef.service.input.1.name"="corpus"
 *     LABEL "eudat.gef.service.input.1.path"="/data/corpus"
 *     LABEL "eudat.gef.service.input.2.name"="settings"
 *     LABEL "eudat.gef.service.input.2.path"="/data/settings"
 *     LABEL "eudat.gef.service.input.2.type"="string"
 *     LABEL "eudat.gef.service.input.2.filename"="settings.ini"
 *     LABEL "eudat.gef.service.output.1.name"="counts"
 *     LABEL "eudat.gef.service.output.1.path"="/data/counts"
 */
import { z } from 'zod'
import { NodeError } from '../../base/errors.ts'
import { problemsToldMax, servicePortsMax } from '../../base/limits.ts'
import { isWithin, pathProblem } from './container-paths.ts'

/** What stands before every label of a service. */
export const SERVICE_LABEL = 'eudat.gef.service.'

/** Names of inputs and outputs become names of files and directories. */
const portName = z
  .string()
  .max(100)
  .regex(/^[\w][\w .+@=-]*$/, 'has letters, digits, blanks and . _ + @ = - and does not begin with a dot')
const fileName = z
  .string()
  .max(200)
  .regex(/^[\w.][\w.+@=-]*$/, 'is the name of a file, without a slash')
  .refine((name) => !/^\.+$/.test(name), 'is the name of a file')
const containerPath = z
  .string()
  .max(500)
  .superRefine((path, context) => {
    const problem = pathProblem(path)
    if (problem !== undefined) context.addIssue({ code: 'custom', message: problem })
  })

export const serviceInputSchema = z.object({
  name: portName,
  /** Absolute, without a slash at its end: a directory of the container. */
  path: containerPath,
  /** `url`: the directory holds the file (or files) that the step names. `string`: it holds `filename` with the text. */
  type: z.enum(['url', 'string']),
  /** Always there for `string`; for `url` the name that a single file gets, else its own. */
  filename: fileName.optional(),
})

export const serviceOutputSchema = z.object({
  name: portName,
  /** Absolute, without a slash at its end: the directory that the service writes. */
  path: containerPath,
})

/** What the labels of an image say. */
export const serviceDescriptionSchema = z.object({
  name: z
    .string()
    .max(200)
    .regex(/^[^@\p{Cc}]+$/u, 'has no "@" and is one line'),
  version: z
    .string()
    .max(100)
    .regex(/^[\w][\w.+-]*$/, 'has letters, digits and . _ + -'),
  description: z.string().max(2_000).default(''),
  inputs: z.array(serviceInputSchema).max(servicePortsMax),
  outputs: z.array(serviceOutputSchema).max(servicePortsMax),
})
export type ServiceInput = z.output<typeof serviceInputSchema>
export type ServiceOutput = z.output<typeof serviceOutputSchema>
export type ServiceDescription = z.output<typeof serviceDescriptionSchema>

/** A service as a tool of the federation: what it says of itself, and the one image that says so. */
export const serviceSchema = serviceDescriptionSchema.extend({
  /** What never changes under the name: a registry's digest, else the id of the image's configuration. */
  digest: z.string().max(500),
})
export type Service = z.output<typeof serviceSchema>

/** `name@version@digest`: the same words always mean the same image. */
export function serviceId({ name, version, digest }: Service): string {
  return `${name}@${version}@${digest.slice(digest.lastIndexOf('@') + 1)}`
}

/** Where in the container the bytes of an input are: a directory for `url`, a file for `string`. */
export function placeOfInput({ type, path, filename }: ServiceInput): string {
  return type === 'string' && filename !== undefined ? `${path}/${filename}` : path
}

/** A tool of the federation, as far as it may be a service. */
export interface ServiceTool {
  readonly name: string
  readonly service?: Service | undefined
}

/**
 * One name and version is one image for ever: whoever repeats a run by them gets the same.
 *
 * @throws NodeError CONFLICT when a tool is the same service in the same version with another image.
 */
export function checkServiceVersion({ service }: ServiceTool, tools: readonly ServiceTool[]): void {
  if (service === undefined) return
  const { name, version, digest } = service
  const bare = digest.slice(digest.lastIndexOf('@') + 1)
  const other = tools.find((tool) => {
    const { service: known } = tool
    return known?.name === name && known.version === version && serviceId(known) !== serviceId(service)
  })
  if (other?.service === undefined) return
  const message = `The service ${name} ${version} is registered already, as the tool ${other.name}, with another image (${other.service.digest}, not ${bare}): give the changed image a new eudat.gef.service.version`
  throw new NodeError('CONFLICT', message, { tool: other.name, digest: other.service.digest })
}

export type Labels = Readonly<Record<string, string>>

/** Whether an image claims to be a service at all, rightly or not. */
export function isLabelledService(labels: Labels): boolean {
  return Object.keys(labels).some((label) => label.startsWith(SERVICE_LABEL))
}

const SERVICE_FIELDS = new Set(['name', 'version', 'description'])
const PORT_FIELDS = {
  input: new Set(['name', 'path', 'type', 'filename']),
  output: new Set(['name', 'path']),
} as const
const PORT = /^(input|output)\.(0|[1-9]\d{0,5})\.(.+)$/

type Kind = keyof typeof PORT_FIELDS
type Ports = Map<number, Map<string, string>>
type Report = (label: string, problem: string) => void

/**
 * What the labels of an image say.
 *
 * @throws NodeError INVALID_INPUT whose `data.problems` lists everything that is wrong, each with its label.
 */
export function parseServiceLabels(labels: Labels): ServiceDescription {
  const problems: string[] = []
  const report: Report = (label, problem) => problems.push(`${SERVICE_LABEL}${label} ${problem}`)
  const said = sort(labels, report)
  const field = (name: 'name' | 'version' | 'description') => {
    const value = said.fields.get(name)?.trim() ?? ''
    if (value === '' && name !== 'description') report(name, 'is missing')
    else checkText(report, name, value, serviceDescriptionSchema.shape[name])
    return value
  }
  const [name, version, description] = [field('name'), field('version'), field('description')]
  const inputs = portsOf('input', said.input, report).map(([number, fields]) =>
    inputOf(number, fields, report),
  )
  const outputs = portsOf('output', said.output, report).map(([number, fields]) => {
    return { name: nameOf('output', number, fields, report), path: pathOf('output', number, fields, report) }
  })
  reportDoubles('input', said.input, report)
  reportDoubles('output', said.output, report)
  if (problems.length === 0) reportOverlaps(inputs, outputs, problems)
  if (problems.length > 0) throw invalid(problems)
  return { name, version, description, inputs, outputs }
}

/** Puts each label where it belongs, and tells of those that belong nowhere. */
function sort(labels: Labels, report: Report) {
  const said = { fields: new Map<string, string>(), input: new Map() as Ports, output: new Map() as Ports }
  for (const [label, value] of Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!label.startsWith(SERVICE_LABEL)) continue
    const rest = label.slice(SERVICE_LABEL.length)
    const [, kind, number, field] = PORT.exec(rest) ?? []
    if (SERVICE_FIELDS.has(rest)) said.fields.set(rest, value)
    else if (isKind(kind) && field !== undefined && PORT_FIELDS[kind].has(field as never)) {
      const fields = said[kind].get(Number(number)) ?? new Map<string, string>()
      said[kind].set(Number(number), fields.set(field, value))
    } else report(rest, `is no label of a service; ${expected(rest)}`)
  }
  return said
}

function isKind(kind: string | undefined): kind is Kind {
  return kind === 'input' || kind === 'output'
}

function expected(label: string): string {
  const kind = label.split('.')[0]
  if (!isKind(kind)) return 'there are name, version, description, input.N.… and output.N.…'
  return `${kind === 'input' ? 'an input' : 'an output'} has ${[...PORT_FIELDS[kind]].map((field) => `${kind}.N.${field}`).join(', ')}, numbered 1, 2, 3, …`
}

/** In the order of their numbers, which begin at 1 (or 0) and leave none out: a gap is a label that was misspelt. */
function portsOf(kind: Kind, ports: Ports, report: Report): [number, Map<string, string>][] {
  const sorted = [...ports].sort(([a], [b]) => a - b)
  if (sorted.length > servicePortsMax) report(kind, `numbers more than ${servicePortsMax}`)
  let next = sorted[0]?.[0] === 0 ? 0 : 1
  for (const [number] of sorted) {
    if (number !== next) report(`${kind}.${next}`, `is missing, and there is ${kind}.${number}`)
    next = number + 1
  }
  return sorted.slice(0, servicePortsMax)
}

function inputOf(number: number, fields: Map<string, string>, report: Report): ServiceInput {
  const name = nameOf('input', number, fields, report)
  const path = pathOf('input', number, fields, report)
  const type = fields.get('type')?.trim() ?? 'url'
  const filename = fields.get('filename')?.trim()
  if (type !== 'url' && type !== 'string') {
    report(`input.${number}.type`, `is ${JSON.stringify(type.slice(0, 50))}; there are url and string`)
  }
  if (filename !== undefined) checkText(report, `input.${number}.filename`, filename, fileName)
  else if (type === 'string') {
    report(`input.${number}.filename`, 'is missing: a text has to stand in a file, and this is its name')
  }
  const known = type === 'string' ? ('string' as const) : ('url' as const)
  return { name, path, type: known, ...(filename === undefined ? {} : { filename }) }
}

function nameOf(kind: Kind, number: number, fields: Map<string, string>, report: Report): string {
  const name = fields.get('name')?.trim() ?? ''
  if (name === '') report(`${kind}.${number}.name`, 'is missing')
  else checkText(report, `${kind}.${number}.name`, name, portName)
  return name
}

function pathOf(kind: Kind, number: number, fields: Map<string, string>, report: Report): string {
  const label = `${kind}.${number}.path`
  const said = fields.get('path')?.trim() ?? ''
  const path = said.replaceAll(/\/{2,}/g, '/').replace(/(?<=.)\/$/, '')
  const problem = said === '' ? undefined : pathProblem(path)
  if (said === '') report(label, 'is missing')
  else if (problem !== undefined) report(label, `is ${JSON.stringify(said.slice(0, 100))}, which ${problem}`)
  else checkText(report, label, path, containerPath)
  return path
}

function checkText(report: Report, label: string, value: string, schema: z.ZodType): void {
  const checked = schema.safeParse(value)
  if (!checked.success) {
    const [issue] = checked.error.issues
    report(label, `is ${JSON.stringify(value.slice(0, 100))}, and what may stand there ${said(issue)}`)
  }
}

function said(issue: z.core.$ZodIssue | undefined): string {
  return issue?.code === 'too_big'
    ? `has at most ${issue.maximum} characters`
    : (issue?.message ?? 'is other')
}

/** Two inputs of one name could not be told apart in a pipeline, nor two outputs in a dataset. */
function reportDoubles(kind: Kind, ports: Ports, report: Report): void {
  const first = new Map<string, number>()
  for (const [number, fields] of [...ports].sort(([a], [b]) => a - b)) {
    const name = fields.get('name')?.trim().toLowerCase()
    if (name === undefined || name === '') continue
    const other = first.get(name)
    if (other === undefined) first.set(name, number)
    else report(`${kind}.${number}.name`, `is the name of ${kind}.${other} too`)
  }
}

/** One place cannot be two things, and what lies within another would be hidden by it or written into it. */
function reportOverlaps(
  inputs: readonly ServiceInput[],
  outputs: readonly ServiceOutput[],
  problems: string[],
) {
  const places = [
    ...inputs.map((input) => ({ what: `the input ${input.name}`, place: placeOfInput(input) })),
    ...outputs.map(({ name, path }) => ({ what: `the output ${name}`, place: path })),
  ]
  for (const [index, { what, place }] of places.entries()) {
    const other = places.slice(0, index).find((earlier) => {
      return isWithin(place, earlier.place) || isWithin(earlier.place, place)
    })
    if (other === undefined) continue
    problems.push(
      `${SERVICE_LABEL}…path: ${what} (${place}) and ${other.what} (${other.place}) lie in each other`,
    )
  }
}

function invalid(all: readonly string[]): NodeError {
  const problems = all.slice(0, problemsToldMax)
  const message = `The labels of the image do not describe a service: ${problems.join('; ')}`
  return new NodeError('INVALID_INPUT', message, { problems })
}
