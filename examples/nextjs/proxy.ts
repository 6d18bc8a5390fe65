// Tells the server who is signed in, before each page. Next.js 15 and before call this file middleware.ts.
import { clerkMiddleware } from '@clerk/nextjs/server';

export default clerkMiddleware();

// all but Next.js' own files, and what has an extension
export const config = { matcher: ['/((?!_next|.*\\.).*)', '/api/(.*)'] };
