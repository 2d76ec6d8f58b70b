/** Loads recorded exchanges from a folder. The recordings are not part of this project. */
import { readFileSync } from "node:fs"
import { join } from "node:path"

export interface Expectation {
  readonly kind: string
  readonly id?: string | null
  readonly id_unstable?: boolean
  readonly model?: string | null
  readonly text?: string | null
  readonly reasoning?: string | null
  readonly refusal?: string | null
  readonly tool_calls?: ReadonlyArray<{
    readonly id: string | null
    readonly name: string
    readonly arguments?: unknown
    readonly arguments_raw?: string
    readonly arguments_invalid_json?: boolean
    readonly type?: string
    readonly input?: string
  }>
  readonly finish_reason?: string | null
  readonly incomplete_reason?: string | null
  readonly usage?: {
    readonly input: number | null
    readonly input_total?: number | null
    readonly output: number | null
    readonly output_total?: number | null
    readonly cached_input?: number | null
    readonly cache_write?: number | null
    readonly reasoning?: number | null
    readonly total?: number | null
  } | null
  readonly usage_source?: string
  /** The types of the blocks, items or parts that only the protocol has. */
  readonly other_blocks?: ReadonlyArray<string>
  readonly other_items?: ReadonlyArray<string>
  readonly other_parts?: ReadonlyArray<string>
  readonly status?: number
  readonly provider_code?: string | number | null
  readonly provider_type?: string | null
  readonly error_class?: string
  readonly error_class_acceptable?: ReadonlyArray<string>
  /** An error class that is accepted, too, when the answer has no content. */
  readonly acceptable_error_class?: string
  readonly mid_stream?: boolean
  readonly message?: string | null
  readonly retry_after?: number | null
  readonly retry_after_alternatives?: ReadonlyArray<number>
  readonly retry_after_in_message?: number
  readonly partial?: Expectation
  readonly count?: number
  readonly dimensions?: number
  readonly first?: ReadonlyArray<number>
  readonly last?: ReadonlyArray<number>
}

export interface Exchange {
  readonly name: string
  readonly protocol: string
  readonly provider: string
  readonly streaming: boolean
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly path: string
  readonly requestBody: unknown
  readonly body: Uint8Array
  readonly expected: Expectation
}

interface Listed {
  readonly dir: string
  readonly protocol: string
  readonly provider: string
  readonly streaming: boolean
}

const read = (path: string) => JSON.parse(readFileSync(path, "utf8"))

/** All exchanges of a protocol. */
export const load = (folder: string, protocol: string): ReadonlyArray<Exchange> => {
  const index: ReadonlyArray<Listed> = read(join(folder, "index.json"))
  return index
    .filter((listed) => listed.protocol === protocol)
    .map((listed) => {
      const at = (file: string) => join(folder, listed.dir, file)
      const meta = read(at("response.meta.json"))
      const request = read(at("request.json"))
      return {
        name: listed.dir,
        protocol: listed.protocol,
        provider: listed.provider,
        streaming: meta.request_streaming ?? listed.streaming,
        status: meta.status,
        headers: meta.headers,
        path: request.path ?? "",
        requestBody: request.body,
        body: readFileSync(at("response.body")),
        expected: read(at("expect.json"))
      }
    })
}
