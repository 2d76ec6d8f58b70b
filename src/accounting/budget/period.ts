/** When the money of a budget begins to be spent anew. */
import { DateTime, Duration } from "effect"

export type CalendarUnit = "minute" | "hour" | "day" | "week" | "month" | "year"

export type Period =
  | "forever"
  | CalendarUnit
  | { readonly calendar: CalendarUnit; readonly timeZone?: DateTime.TimeZone }
  | { readonly rolling: Duration.DurationInput }

/** What is spent within one slice of time is forgotten at one moment. All in milliseconds since the epoch. */
export interface Slice {
  readonly start: number
  /** Until when spending belongs to this slice, and not to the next. */
  readonly end: number
  /** Until when what was spent in it counts. */
  readonly until: number
}

/** A rolling period moves on in so many steps: what was spent counts for the period, and for at most this share of it longer. */
export const steps = 60

const ofCalendar = (unit: CalendarUnit, timeZone: DateTime.TimeZone, now: number): Slice => {
  const moment = DateTime.setZone(DateTime.unsafeMake(now), timeZone)
  const first = DateTime.startOf(moment, unit, { weekStartsOn: 1 })
  const end = DateTime.toEpochMillis(DateTime.startOf(DateTime.add(first, oneMore[unit]), unit, { weekStartsOn: 1 }))
  const start = DateTime.toEpochMillis(first)
  // Where clocks are put back an hour comes twice, and its second time would begin before it ended.
  return { start, end: Math.max(end, now + 1), until: Math.max(end, now + 1) }
}

const oneMore: Record<CalendarUnit, Partial<DateTime.DateTime.PartsForMath>> = {
  minute: { minutes: 1 },
  hour: { hours: 1 },
  day: { days: 1 },
  week: { weeks: 1 },
  month: { months: 1 },
  year: { years: 1 }
}

const utc = DateTime.zoneMakeOffset(0)

export const sliceAt = (period: Period, now: number): Slice => {
  if (period === "forever") return { start: now, end: Infinity, until: Infinity }
  if (typeof period === "string") return ofCalendar(period, utc, now)
  if ("calendar" in period) return ofCalendar(period.calendar, period.timeZone ?? utc, now)
  const length = Duration.toMillis(period.rolling)
  const step = Math.max(1, length / steps)
  const start = Math.floor(now / step) * step
  return { start, end: start + step, until: start + step + length }
}
