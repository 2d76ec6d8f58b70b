/** Reads the events of the gateway, and reconnects when the connection is lost. */
import type { Snapshot } from "../snapshot.js"

export interface Handlers {
  readonly connected: () => void
  readonly snapshot: (snapshot: Snapshot) => void
  /** The connection is lost; another attempt follows. */
  readonly lost: () => void
  /** The token is missing or rejected. */
  readonly refused: (message: string) => void
}

export interface SnapshotStream {
  readonly start: (token: string | null) => void
  readonly stop: () => void
}

/** Milliseconds without an event after which the connection counts as lost; the gateway sends one every second. */
const silenceTimeout = 6000

export const authorized = (token: string | null): HeadersInit =>
  token === null ? {} : { authorization: `Bearer ${token}` }

/** The message of an error response. */
export const messageOf = async (response: Response): Promise<string> => {
  try {
    const body: { readonly error?: { readonly message?: string } } = await response.json()
    return body.error?.message ?? response.statusText
  } catch {
    return response.statusText
  }
}

/** Whether the events require a token; true if the gateway does not answer. */
export const needsToken = async (): Promise<boolean> => {
  try {
    const response = await fetch("dashboard/access", { cache: "no-store" })
    const { token }: { readonly token?: string } = await response.json()
    return token !== "none"
  } catch {
    return true
  }
}

/** Calls `event` with the data of each event until the stream ends. The connection is closed if `event` throws. */
export const read = async (body: ReadableStream<Uint8Array>, event: (data: string) => void): Promise<void> => {
  const reader = body.getReader()
  const decoder = new TextDecoder()
  let buffer = ""
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      const parts = (buffer + decoder.decode(value, { stream: true })).split("\n\n")
      buffer = parts.pop() ?? ""
      for (const part of parts) {
        const data = part.split("\n").flatMap((line) => (line.startsWith("data: ") ? [line.slice(6)] : []))
        if (data.length > 0) event(data.join("\n"))
      }
    }
  } finally {
    // A connection that has failed is closed already.
    reader.cancel().catch(() => {})
  }
}

export const make = (handlers: Handlers): SnapshotStream => {
  let current: AbortController | undefined
  let retry: number | undefined
  let failures = 0

  const connect = async (token: string | null): Promise<void> => {
    const controller = new AbortController()
    current = controller
    let silenceTimer = window.setTimeout(() => controller.abort(), silenceTimeout)
    try {
      const response = await fetch("dashboard/events", {
        headers: authorized(token),
        signal: controller.signal,
        cache: "no-store"
      })
      if (response.status === 401 || response.status === 403) {
        handlers.refused(response.status === 401 && token !== null ? "Wrong admin token." : await messageOf(response))
        return
      }
      if (!response.ok || response.body === null) throw new Error(`status ${response.status}`)
      handlers.connected()
      await read(response.body, (data) => {
        window.clearTimeout(silenceTimer)
        silenceTimer = window.setTimeout(() => controller.abort(), silenceTimeout)
        failures = 0
        handlers.snapshot(JSON.parse(data))
      })
    } catch {
      // Every failure is reported as a lost connection below.
    } finally {
      window.clearTimeout(silenceTimer)
    }
    if (current !== controller) return
    failures += 1
    handlers.lost()
    retry = window.setTimeout(() => void connect(token), Math.min(10_000, 500 * 2 ** failures))
  }

  const stop = (): void => {
    window.clearTimeout(retry)
    const previous = current
    current = undefined
    previous?.abort()
  }

  return {
    start: (token) => {
      stop()
      failures = 0
      void connect(token)
    },
    stop
  }
}
