using System.Runtime.Versioning;
using LightTunnel.Addressing;
using LightTunnel.Diagnostics;
using LightTunnel.Timing;

namespace LightTunnel.Resolver;

/// <summary>
/// Split DNS where programs know nothing but /etc/resolv.conf: the tunnel's responder is its first nameserver, and refuses every name that
/// is not the tunnel's, so that the next one is asked for it, the very one that was asked before.
/// </summary>
/// <remarks>
/// Nothing here can leave a machine without names. Those that were there stay and are asked as before; where there are none, nothing is
/// added. A refusal, and a responder that is no more, take microseconds: it has an address of the loopback network, where the system itself
/// answers for who is gone. glibc, musl, c-ares and Go go on to the next nameserver after both.
/// <para>Who else writes the file (NetworkManager, resolvconf, dhclient and dhcpcd when leases change) writes it whole, from what he knows,
/// and never reads it; so the nameserver is put in again, three times a minute at most.</para>
/// </remarks>
/// <param name="interfaceName">The tunnel's interface.</param>
/// <param name="record">Where what was changed is written down.</param>
/// <param name="log">The tunnel's log.</param>
/// <param name="time">The clock.</param>
/// <param name="path">The file, or a link to it.</param>
[SupportedOSPlatform("linux")]
internal sealed class ResolvConfSetup(
    string interfaceName, IRecordFile record, TunnelLog log, TimeProvider time, string path = ResolvConfFile.SystemPath) : IResolverSetup
{
    private const string Remedy = "Install systemd-resolved, or ask with Resolve-LtName.";

    private readonly RepairLimit _limit = new();
    private TunnelAddress? _set;
    private string? _file;
    private bool _hasWarned;

    /// <summary>Takes out what a tunnel has left that was killed.</summary>
    public static void Recover(IRecordFile record, TunnelLog log)
    {
        if (record.Read() is not { } content)
            return;
        if (ResolverRecord.Decode(content) is not { } left)
        {
            log.Warning("Which nameserver was added before this tunnel was ended cannot be read: look for LightTunnel in {Path}",
                ResolvConfFile.SystemPath);
            record.Delete();
            return;
        }

        if (TakeOut(left.Path, left.Interface))
            log.Information("This tunnel was ended before it could take its nameserver out of {Path}: that is done now", left.Path);
        record.Delete();
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> Set(ResolverScope scope)
    {
        var problems = new List<string>();
        IReadOnlyList<string> domains = RoutingDomains.Allowed(scope, problems);
        if (domains.Count == 0 && !scope.AllNames)
        {
            Restore();
            return problems;
        }

        try
        {
            string file = ResolvConfFile.Resolve(path);
            ResolvConfText? text = ResolvConfFile.Read(file) is { } content ? new ResolvConfText(content) : null;
            TunnelAddress[] servers = [.. scope.ServersAt(loopback: true).Where(LoopbackServers.Contains)];
            string? fault = text is null ? $"there is no {path}, and a tunnel's nameserver must not be the only one"
                : servers.Length == 0 ? "this tunnel answers at no address of 127.76.84.0/24"
                : FindFault(text);
            if (fault is not null)
            {
                Restore();
                problems.Add($"The network's names are not found by this machine's programs: {fault}. {Remedy}");
            }
            else if (!text!.Has(interfaceName, servers[0]))
            {
                Put(file, text, servers[0], problems);
            }
            else
            {
                (_set, _file) = (servers[0], file);
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            problems.Add(
                $"The network's names are not found by this machine's programs: {path} cannot be changed "
                    + $"({exception.Message.TrimEnd('.')}). A service has to be started again once somebody put another file there, or "
                    + $"needs ReadWritePaths=/etc; and nobody can change it while lsattr shows an i. {Remedy}");
        }

        return problems;
    }

    /// <inheritdoc/>
    public void Restore()
    {
        if (_set is null)
            return;
        try
        {
            // Somebody may have made the path lead elsewhere since.
            TakeOut(_file!, interfaceName);
            TakeOut(ResolvConfFile.Resolve(path), interfaceName);
            _set = null;
            record.Delete();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            log.Warning("The tunnel's nameserver stays in {Path}, where it does no harm: {Reason}", path, exception.Message);
        }
    }

    private static bool TakeOut(string file, string interfaceName)
    {
        if (ResolvConfFile.Read(file) is not { } content || new ResolvConfText(content).Without(interfaceName).Length == content.Length)
            return false;
        ResolvConfFile.Change(file, present => new ResolvConfText(present).Without(interfaceName));
        return true;
    }

    private string? FindFault(ResolvConfText text)
    {
        if (text.OtherNameservers.Count == 0)
            return $"{path} names no nameserver, and a tunnel's must not be the only one";
        if (text.IsRotating)
        {
            return $"{path} has 'options rotate', by which nameservers are asked in turn, so that names of the tunnel would be looked for "
                + "elsewhere as well. Take it out";
        }

        int others = text.OtherTunnels(interfaceName);
        return others >= ResolvConfText.MostAsked - 1
            ? $"{others} other tunnels have nameservers in {path}, and of more than {ResolvConfText.MostAsked} the last are never asked"
            : null;
    }

    private void Put(string file, ResolvConfText text, TunnelAddress server, List<string> problems)
    {
        Timestamp now = time.Now();
        string who = text.Writer ?? "Somebody";
        bool isRepair = _set == server;
        if (isRepair && !_limit.MayRepair(now))
        {
            _limit.LeaveAlone(now);
            problems.Add(
                $"{who} takes this tunnel's nameserver out of {path} again and again: it was put in {RepairLimit.Most} times within a "
                    + $"minute, and is left out for {RepairLimit.Truce.TotalMinutes:0} minutes. The network's names are not found by this "
                    + $"machine's programs. {Remedy}");
            return;
        }

        if (_file is not null && _file != file)
            TakeOut(_file, interfaceName);
        record.Write(new ResolverRecord(interfaceName, file).Encode());
        ResolvConfFile.Change(file, content => Changed(new ResolvConfText(content), server));
        if (isRepair)
        {
            _limit.Note(now);
            log.Write(
                _hasWarned ? LogLevel.Information : LogLevel.Warning, null,
                "{Who} wrote {Path} anew: the tunnel's nameserver is put in again", who, path);
            _hasWarned = true;
        }
        else
        {
            log.Information("{Server} is the first nameserver in {Path}, for the network's names; others are asked for all other names",
                server, path);
        }

        (_set, _file) = (server, file);
    }

    /// <summary>What was looked at before may be another by now.</summary>
    private byte[]? Changed(ResolvConfText text, TunnelAddress server) =>
        FindFault(text) is null ? text.With(interfaceName, server) : null;
}
