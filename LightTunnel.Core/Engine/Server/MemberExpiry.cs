using System.Globalization;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Membership;
using LightTunnel.Timing;
using LightTunnel.WireGuard;

namespace LightTunnel.Engine.Server;

/// <summary>
/// Memberships that end: an admin has said when, or the member was not here for as long as one lasts. Who is here renews it; whom an admin
/// has given an end is warned in good time. When it has ended the member is out at once, like one that is blocked; its lease stays, so that
/// it is the same again when it is prolonged. Owned by the control loop.
/// </summary>
internal sealed class MemberExpiry(Node node, Leases leases, ClientRoster roster)
{
    /// <summary>A member is warned from this time before the end, and so often.</summary>
    internal static readonly TimeSpan WarnBefore = TimeSpan.FromDays(7);
    private static readonly TimeSpan WarnInterval = TimeSpan.FromHours(12);

    private static readonly TimeSpan CheckInterval = TimeSpan.FromMinutes(1);

    private readonly Dictionary<PublicKey, Timestamp> _warned = [];
    private Timestamp _next = Timestamp.AtOnce;

    /// <summary>Does what is due; returns when to call again.</summary>
    public Timestamp Run(Timestamp now)
    {
        if (now < _next)
            return _next;
        DateTimeOffset present = node.Time.GetUtcNow();
        _next = now + CheckInterval;
        foreach (Lease lease in leases.All.ToArray())
            Look(lease, present, now);
        return _next;
    }

    /// <summary>A member has registered, or an admin has changed it: it is told anew of an end that is near.</summary>
    public void Look(in PublicKey member)
    {
        _warned.Remove(member);
        if (leases.ByKey(member) is { } lease)
            Look(lease, node.Time.GetUtcNow(), node.Now);
    }

    private void Look(Lease lease, DateTimeOffset present, Timestamp now)
    {
        if (leases.EndOf(leases.Renew(lease, present)) is not { } end)
            return;
        if (end <= present)
        {
            Expire(lease);
            return;
        }

        if (end - present < CheckInterval)
            _next = Timestamp.Earliest(_next, now + (end - present));
        if (end - present < WarnBefore)
            Warn(lease, end, now);
    }

    private void Expire(Lease lease)
    {
        _warned.Remove(lease.PublicKey);
        if (!roster.Expire(lease.PublicKey))
            return;
        node.Log.Audit(
            AuditAction.Expired, by: null, lease.Name, lease.PublicKey.ToString(),
            $"The membership of {lease.Name} ({string.Join(", ", lease.Addresses)}) has ended: Set-LtMember -ExpiresIn prolongs it");
    }

    private void Warn(Lease lease, DateTimeOffset end, Timestamp now)
    {
        if (roster.FindOnline(lease.PublicKey)?.Session is not { Registered: true, IsIdle: true } session
            || (_warned.TryGetValue(lease.PublicKey, out Timestamp last) && now - last < WarnInterval))
        {
            return;
        }

        _warned[lease.PublicKey] = now;
        session.Send(new NoticeMessage
        {
            Kind = NoticeKind.MembershipEnds,
            Subject = end.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture),
        });
        node.Hurry(roster.FindOnline(lease.PublicKey)!);
    }
}
