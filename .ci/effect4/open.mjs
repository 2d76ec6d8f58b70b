/**
 * Tests that the build for Effect 4 does not pass yet, by file: `npm run test:effect4` leaves them out, so that it fails for new faults. One
 * is only listed with the reason why it does not pass.
 */
export const open = {}
