using LightTunnel.Diagnostics;
using LightTunnel.Tests.Configuration;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Diagnostics;

/// <summary>What was done to a network's members is kept, whoever floods, and after a restart.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));

    private string AuditPath => Path.Combine(_folder.Path, "audit.log");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Audit_IsTold_InTheTunnelsLogAsWell()
    {
        using TunnelLog log = Open();

        log.Audit(AuditAction.Blocked, "root", "bob", "a2V5", "bob was blocked by root");

        AuditEntry entry = Assert.Single(log.Audited.Read(0));
        Assert.Equal(
            new AuditEntry(1, _time.GetLocalNow(), "hub", AuditAction.Blocked, "root", "bob", "a2V5", "bob was blocked by root"), entry);
        Assert.Equal("bob was blocked by root", Assert.Single(log.Read()).Message);
    }

    [Fact]
    public void Audit_WhatNobodyAskedFor_NeverPushesOutWhatAdminsDid()
    {
        using TunnelLog log = Open();
        log.Audit(AuditAction.Blocked, "root", "bob", "a2V5", "bob was blocked by root");
        for (int i = 0; i < 100_000; i++)
            log.Audit(AuditAction.Joined, null, $"m{i}", null, $"m{i} became a member");
        _time.Advance(TimeSpan.FromHours(1));
        for (int i = 0; i < 300; i++)
            log.Audit(AuditAction.Unblocked, "root", $"m{i}", null, $"m{i} was unblocked");

        IReadOnlyList<AuditEntry> kept = log.Audited.Read(0);

        Assert.Equal(AuditAction.Blocked, kept[0].Action);
        Assert.Equal(AuditLog.UnaskedPerHour + 1, kept.Count(entry => entry.Action == AuditAction.Joined));
        Assert.Contains(kept, entry => entry.Message == "99,800 more of this kind within an hour were left out");
        Assert.Equal(300, kept.Count(entry => entry.Action == AuditAction.Unblocked));
    }

    [Fact]
    public void Open_AfterARestart_HasWhatWasBefore_AndGoesOn()
    {
        using (TunnelLog before = Open())
        {
            before.Audit(AuditAction.Joined, null, "bob", "a2V5", "bob became a member");
            before.Audit(AuditAction.Blocked, "root\n{\"forged\":1}", "bob\u2028", "a2V5", "bob was blocked");
        }

        _time.Advance(TimeSpan.FromDays(3));
        using TunnelLog after = Open();
        after.Audit(AuditAction.Unblocked, "root", "bob", "a2V5", "bob was unblocked");

        Assert.Equal(
            [(1, AuditAction.Joined, null), (2, AuditAction.Blocked, "root {\"forged\":1}"), (3L, AuditAction.Unblocked, "root")],
            after.Audited.Read(0).Select(entry => (entry.Sequence, entry.Action, entry.By)));
        Assert.Equal(TimeSpan.FromDays(3), after.Audited.Read(0)[2].Time - after.Audited.Read(0)[1].Time);
        Assert.Equal(3, File.ReadAllLines(AuditPath).Length);
        if (!OperatingSystem.IsWindows())
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(AuditPath));
    }

    [Fact]
    public void Open_LinesThatAreNone_AreLeftOut()
    {
        using (TunnelLog before = Open())
            before.Audit(AuditAction.Joined, null, "bob", "a2V5", "bob became a member");
        string line = File.ReadAllText(AuditPath);
        byte[] damaged = [.. "{}\nnull\n[1]\n{\"action\":\"NoSuch\"}\n\0\0"u8, 0xFF, 0xFE, (byte)'\n'];
        File.AppendAllBytes(AuditPath, damaged);
        File.AppendAllText(AuditPath, new string('[', 100_000) + "\n" + line + line[..20]);

        using TunnelLog after = Open();

        Assert.Equal(["bob became a member", "bob became a member"], after.Audited.Read(0).Select(entry => entry.Message));
    }

    [Fact]
    public void Open_ManyEntries_ReadsTheLatestOfAllFiles()
    {
        using (TunnelLog before = Open())
        {
            for (int i = 0; i < 5000; i++)
                before.Audit(AuditAction.Blocked, "root", $"member{i}", new string('k', 44), new string('x', 300));
        }

        Assert.True(Directory.GetFiles(_folder.Path).Length > 1);
        File.WriteAllText(Path.Combine(_folder.Path, "audit_12x.log"), "nothing");
        using TunnelLog after = Open();

        Assert.Equal(
            Enumerable.Range(4000, 1000).Select(i => $"member{i}"), after.Audited.Read(0).Select(entry => entry.Subject));
    }

    private TunnelLog Open() => new("hub", _time, auditPath: AuditPath);
}
