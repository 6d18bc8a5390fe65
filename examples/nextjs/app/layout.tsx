import { ClerkProvider, OrganizationSwitcher, Show, SignInButton, UserButton } from '@clerk/nextjs';
import type { Metadata } from 'next';
import Link from 'next/link';
import type { ReactNode } from 'react';
import './globals.css';

export const metadata: Metadata = { title: 'Posts', description: 'Next.js, Clerk and row-level security' };

// Clerk's components in the colors of globals.css, light and dark.
const appearance = {
	variables: {
		colorPrimary: 'var(--accent)',
		colorPrimaryForeground: 'var(--on-accent)',
		colorBackground: 'var(--card)',
		colorForeground: 'var(--ink)',
		colorMutedForeground: 'var(--soft)',
		colorNeutral: 'var(--ink)',
		fontFamily: 'inherit',
	},
	elements: {
		organizationSwitcherTrigger: { color: 'var(--ink)' },
		organizationPreviewMainIdentifier: { color: 'inherit', opacity: 1 },
	},
};

export default function Layout({ children }: { children: ReactNode }) {
	return (
		<html lang="en">
			<body>
				<ClerkProvider appearance={appearance} afterSignOutUrl="/">
					<header>
						<nav>
							<Link href="/">Posts</Link>
							<Link href="/people">People</Link>
						</nav>
						<Show when="signed-in">
							<OrganizationSwitcher />
							<UserButton />
						</Show>
						<Show when="signed-out">
							<SignInButton />
						</Show>
					</header>
					{children}
				</ClerkProvider>
			</body>
		</html>
	);
}
