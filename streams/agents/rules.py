"""The core's rules from the settings. Must not know what a rule does, or anything of a worker."""

from __future__ import annotations

from streams.core.rules import LIMITS, Rules
from streams.settings import Settings


def rules_of(settings: Settings) -> Rules:
    """The numbers the core decides by."""
    return Rules(
        ranks=settings.identity.ranks,
        limits={kind: most for kind, most in (LIMITS | settings.identity.limits).items() if most},
        on_conflict=settings.identity.on_conflict,
        shared_profiles=settings.identity.shared_profiles,
        shared_within_ms=settings.identity.shared_within_s * 1000,
        default_region=settings.identity.default_region,
        drop_plus_tags=settings.identity.drop_plus_tags,
        blocked=settings.identity.blocked,
        gap_ms=settings.sessions.gap_s * 1000,
        gaps_ms={channel: gap_s * 1000 for channel, gap_s in settings.sessions.gaps_s.items()},
        events=settings.sessions.events,
        abandon_after_ms=settings.carts.abandon_after_s * 1000,
        recovery_ms=settings.carts.recovery_s * 1000,
        reminders_ms=tuple(after_s * 1000 for after_s in settings.carts.reminders_s),
        leftovers=settings.carts.leftovers,
        browse_views=settings.carts.browse_views,
        most_touchpoints=settings.sessions.most_touchpoints,
        most_campaigns=settings.sessions.most_campaigns,
        most_cart_entries=settings.carts.most_entries,
        timer_lateness_ms=settings.actions.timer_lateness_s * 1000,
        max_action_age_ms=settings.actions.max_age_s * 1000,
        expires_ms=settings.actions.expires_s * 1000,
        action_channels=settings.actions.channels,
        max_record_bytes=settings.kafka.max_record_bytes,
        is_replay=settings.worker.clock == "replay",
    )
