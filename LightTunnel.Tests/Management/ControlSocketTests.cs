using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.Versioning;
using LightTunnel.Configuration;
using LightTunnel.Diagnostics;
using LightTunnel.Engine.Control;
using LightTunnel.Engine.Probing;
using LightTunnel.Engine.Server;
using LightTunnel.Management;
using LightTunnel.Membership;
using LightTunnel.Routing;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace LightTunnel.Tests.Management;

[SupportedOSPlatform("linux")]
public sealed class ControlSocketTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("lt-control");
    private readonly UnixControlTransport _transport;

    public ControlSocketTests()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Unix sockets with peer credentials are Linux's.");
        _transport = new UnixControlTransport(_folder.FullName, "1");
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private string SocketFolder => Path.Combine(_folder.FullName, "net-1");

    private string OwnSocket => Path.Combine(SocketFolder, Environment.ProcessId + ".sock");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Remote_EveryQuestion_IsAnsweredAsByTheTunnelItself()
    {
        FakeTunnel tunnel = FakeTunnel.SampleServer();
        tunnel.Settings = new ServerSettings { Name = "office", NetworkKey = new Secret("the key") };
        tunnel.Log(LogLevel.Information, "first");
        tunnel.Log(LogLevel.Warning, "second");
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        RemoteTunnelHandle remote = Remote("office");

        TunnelStatus status = await remote.GetStatusAsync(Token);
        TunnelStatus expected = await tunnel.GetStatusAsync(Token);
        Assert.Equal(
            (expected.Name, expected.State, expected.PublicKey, expected.ListenPort),
            (status.Name, status.State, status.PublicKey, status.ListenPort));
        Assert.Equal(expected.Addresses, status.Addresses);
        Assert.Equal(expected.Counters.Dropped, status.Counters.Dropped);
        Assert.Equal(expected.Counters.RelayedBytes, status.Counters.RelayedBytes);

        SettingsText settings = await remote.GetSettingsAsync(Token);
        Assert.Equal(ConfigurationWriter.Write(tunnel.Settings).Reveal(), settings.Text);
        Assert.DoesNotContain("the key", $"{settings}", StringComparison.Ordinal);

        IReadOnlyList<PeerStatus> peers = await remote.GetPeersAsync(Token);
        Assert.Equal(
            tunnel.Peers.Select(peer => (peer.Name, peer.Addresses[0], peer.Path, peer.Endpoint, peer.RoundTrip, peer.Loss, peer.LastSeen)),
            peers.Select(peer => (peer.Name, peer.Addresses[0], peer.Path, peer.Endpoint, peer.RoundTrip, peer.Loss, peer.LastSeen)));
        Assert.Equal(peers.Count, (await remote.FindPeersAsync("*", Token)).Count);
        Assert.Equal(tunnel.Routes, await remote.GetRoutesAsync(Token));

        Assert.Equal(["second"], (await remote.ReadLogAsync(0, LogLevel.Warning, 10, Token)).Select(entry => entry.Message));
        Assert.Equal(["second"], (await remote.ReadLogAsync(0, LogLevel.Debug, 1, Token)).Select(entry => entry.Message));
        tunnel.Log(LogLevel.Warning, "Flood: one");
        tunnel.Log(LogLevel.Warning, "Flood: two");
        Assert.Equal(["Flood: two"], (await remote.ReadSecurityLogAsync(1, Token)).Select(entry => entry.Message));

        DateTimeOffset expires = DateTimeOffset.UtcNow.AddDays(1);
        InvitationText invitation = await remote.CreateInvitationAsync(
            new InvitationRequest(["a.example:1"], expires, 3, "for bob", "root")
            {
                Groups = ["a", "b"], Addresses = ["10.0.0.5"], IsEphemeral = true,
            }, Token);
        Assert.Equal((FakeTunnel.InvitationSecret, expires), (invitation.Text, invitation.Expires));
        Assert.Equal((string[])["a.example:1"], tunnel.AskedForInvitation?.Endpoints);
        Assert.Equal((string[])["a", "b"], tunnel.AskedForInvitation?.Groups);
        Assert.Equal((string[])["10.0.0.5"], tunnel.AskedForInvitation?.Addresses);
        Assert.Equal(
            new InvitationRequest([], expires, 3, "for bob", "root") { IsEphemeral = true },
            tunnel.AskedForInvitation! with { Endpoints = [], Groups = [], Addresses = [] });
        InvitationStatus kept = FakeTunnel.SampleInvitations[0];
        tunnel.Invitations = [kept];
        InvitationStatus told = Assert.Single(await remote.GetInvitationsAsync(Token));
        Assert.Equal(kept with { Members = [], Groups = [], Addresses = [] }, told with { Members = [], Groups = [], Addresses = [] });
        Assert.Equal(kept.Members, told.Members);
        await remote.RemoveInvitationAsync(kept.Id, "root", Token);
        Assert.Equal([kept.Id], tunnel.RemovedInvitations);
    }

    [Fact]
    public async Task Remote_Tests_GiveTheirReportsAndTellTheirProgress()
    {
        FakeTunnel tunnel = FakeTunnel.SampleMember();
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        RemoteTunnelHandle remote = Remote("home");
        var progress = new ProgressList();
        var request = new PeerTestRequest(tunnel.Peers[1].PublicKey, 7, TimeSpan.FromSeconds(9));

        PeerTestReport report = await remote.TestPeerAsync(request, progress, Token);

        Assert.Equal(request, tunnel.AskedForTest);
        PeerTestReport expected = await tunnel.TestPeerAsync(request, null, Token);
        Assert.Equal(expected with { Candidates = [] }, report with { Candidates = [] });
        Assert.Equal(expected.Candidates, report.Candidates);
        Assert.Equal([new TestProgress("Trying to reach it directly", 30), new TestProgress("Measuring the path", 80)], progress.Told);

        NetworkTestReport network = await remote.TestNetworkAsync(TimeSpan.FromSeconds(1), null, Token);
        Assert.Equal(FakeTunnel.SampleNetworkTest with { Problems = [] }, network with { Problems = [] });
        Assert.Equal(FakeTunnel.SampleNetworkTest.Problems, network.Problems);

        await remote.SetPeerPolicyAsync(request.PublicKey, PathPolicy.RelayOnly, Token);
        await remote.SetPeerPolicyAsync(request.PublicKey, null, Token);
        Assert.Equal([("nas", PathPolicy.RelayOnly), ("nas", null)], tunnel.Policies);
    }

    [Fact]
    public async Task Remote_Members_AreToldWhole_AndChanged()
    {
        FakeTunnel tunnel = FakeTunnel.SampleServer();
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        RemoteTunnelHandle remote = Remote("office");

        IReadOnlyList<MemberStatus> members = await remote.GetMembersAsync(Token);
        Assert.Equal(
            tunnel.Members.Select(member => member with { Addresses = [], Groups = [] }),
            members.Select(member => member with { Addresses = [], Groups = [] }));
        Assert.Equal(tunnel.Members.SelectMany(member => member.Groups), members.SelectMany(member => member.Groups));
        Assert.Equal(tunnel.Members.SelectMany(member => member.Addresses), members.SelectMany(member => member.Addresses));

        var change = new MemberChange(MemberChangeKind.Block, members[0].PublicKey, "root");
        await remote.ChangeMemberAsync(change, Token);
        Assert.Equal([change], tunnel.MemberChanges);
        await remote.ChangeMemberAsync(
            new MemberChange(MemberChangeKind.Set, members[0].PublicKey, "root") { Name = "a", Addresses = ["10.0.0.5"], Groups = [] },
            Token);
        MemberChange set = tunnel.MemberChanges[1];
        Assert.Equal(("a", "10.0.0.5", 0), (set.Name, set.Addresses?.Single(), set.Groups?.Count));
    }

    [Fact]
    public async Task Remote_TestNobodyWaitsForAnyMore_IsCancelledThere()
    {
        var tunnel = new FakeTunnel("home", TunnelRole.Client) { TestsHang = true };
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        using var stop = new CancellationTokenSource();
        var progress = new ProgressList();

        Task<PeerTestReport> testing =
            Remote("home").TestPeerAsync(new PeerTestRequest("key", 1, TimeSpan.FromHours(1)), progress, stop.Token);
        await progress.First.WaitAsync(Token);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => testing);
        await tunnel.TestCancelled.Task.WaitAsync(Token);
    }

    [Fact]
    public async Task Remote_WaitForLog_ReturnsWithTheNextEntryAndEmptyWhenStopped()
    {
        FakeTunnel tunnel = FakeTunnel.SampleServer();
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        RemoteTunnelHandle remote = Remote("office");

        Task<IReadOnlyList<LogEntry>> next = remote.WaitForLogAsync(0, LogLevel.Information, Token);
        tunnel.Log(LogLevel.Debug, "too unimportant");
        tunnel.Log(LogLevel.Error, "the one");
        Assert.Equal("the one", Assert.Single(await next).Message);

        Task<IReadOnlyList<LogEntry>> last = remote.WaitForLogAsync(2, LogLevel.Debug, Token);
        await remote.StopAsync(Token);
        Assert.Empty(await last);
        Assert.True(tunnel.IsStopped);
        await remote.WaitForStopAsync(Token);
    }

    [Fact]
    public async Task Remote_WaitForChanges_ReturnsWithTheNextOnesAndEmptyWhenStopped()
    {
        FakeTunnel tunnel = FakeTunnel.SampleServer();
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);
        RemoteTunnelHandle remote = Remote("office");
        var direct = new RoutePath(PathType.Direct, IPEndPoint.Parse("[2001:db8::7]:9000"), PathReason.DirectUp) { Via = "nas" };

        Task<IReadOnlyList<TunnelChange>> next = remote.WaitForChangesAsync(0, Token);
        tunnel.Change("laptop", "10.0.0.21/32", null, direct);
        TunnelChange change = Assert.Single(await next);
        Assert.Equal(
            (1, "office", "laptop", null, direct),
            (change.Sequence, change.Tunnel, change.Route!.Peer, change.Route.Old, change.Route.New));
        Assert.Equal(["10.0.0.21/32"], change.Route.Destinations);
        tunnel.Change(TunnelState.Up, TunnelState.Reconnecting, "why");
        Assert.Equal(
            new StateChange(TunnelState.Up, TunnelState.Reconnecting, "why"),
            Assert.Single(await remote.ReadChangesAsync(0, 1, Token)).State);

        Task<IReadOnlyList<TunnelChange>> last = remote.WaitForChangesAsync(2, Token);
        await remote.StopAsync(Token);
        Assert.Empty(await last);
    }

    [Fact]
    public async Task Remote_Error_CrossesWithKindMessageAndRemedy()
    {
        var tunnel = new FakeTunnel("office", TunnelRole.Server)
        {
            Failure = new LightTunnelException(
                LightTunnelError.InvalidEndpoint, "'x:y' is no endpoint.", "Write host:port.") { Target = "x:y" },
        };
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);

        LightTunnelException exception = await Assert.ThrowsAsync<LightTunnelException>(() => Remote("office").GetStatusAsync(Token));

        Assert.Equal(LightTunnelError.InvalidEndpoint, exception.Error);
        Assert.Equal("'x:y' is no endpoint.", exception.Message);
        Assert.Equal("Write host:port.", exception.RecommendedAction);
        Assert.Equal("x:y", exception.Target);
    }

    [Fact]
    public async Task Remote_UnexpectedError_BecomesInternal()
    {
        var tunnel = new FakeTunnel("office", TunnelRole.Server) { Failure = new InvalidOperationException("broken") };
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);

        LightTunnelException exception = await Assert.ThrowsAsync<LightTunnelException>(() => Remote("office").GetStatusAsync(Token));

        Assert.Equal(LightTunnelError.Internal, exception.Error);
        Assert.Contains("broken", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Remote_TunnelOrProcessGone_IsStopped()
    {
        using (ControlSocketServer.Start(_transport, () => []))
        {
            LightTunnelException gone = await Assert.ThrowsAsync<LightTunnelException>(() => Remote("office").GetStatusAsync(Token));
            Assert.Equal(LightTunnelError.Stopped, gone.Error);
        }

        LightTunnelException exception = await Assert.ThrowsAsync<LightTunnelException>(() => Remote("office").GetStatusAsync(Token));
        Assert.Equal(LightTunnelError.Stopped, exception.Error);
        await Remote("office").StopAsync(Token);
        await Remote("office").WaitForStopAsync(Token);
    }

    [Fact]
    public async Task FindAsync_SocketOfADeadProcess_IsRemovedWithoutAWord()
    {
        Directory.CreateDirectory(SocketFolder);
        string dead = Path.Combine(SocketFolder, "4194303.sock");
        using (var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            socket.Bind(new UnixDomainSocketEndPoint(dead + ".bound"));
            File.Move(dead + ".bound", dead);
        }

        TunnelSearch search = await new ControlSocketClient(_transport, TimeProvider.System).FindAsync(
            ControlSocketClient.CallTimeout, Token);

        Assert.Empty(search.Tunnels);
        Assert.Empty(search.Warnings);
        Assert.False(File.Exists(dead));
    }

    [Fact]
    public async Task FindAsync_ProcessThatDoesNotAnswer_IsNamed()
    {
        Directory.CreateDirectory(SocketFolder);
        using var hung = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        hung.Bind(new UnixDomainSocketEndPoint(Path.Combine(SocketFolder, "4194302.sock")));
        hung.Listen();
        var time = new FakeTimeProvider();
        Task<TunnelSearch> finding = new ControlSocketClient(_transport, time).FindAsync(ControlSocketClient.CallTimeout, Token);
        using Socket connection = await hung.AcceptAsync(Token);
        Assert.False(finding.IsCompleted);

        time.Advance(ControlSocketClient.CallTimeout);
        TunnelSearch search = await finding;

        Assert.Empty(search.Tunnels);
        Assert.Empty(search.Warnings);
        LightTunnelException error = Assert.Single(search.NotAnswering);
        Assert.Equal((LightTunnelError.NotAnswering, 4194302), (error.Error, error.Target));
        Assert.Contains("4194302", error.Message, StringComparison.Ordinal);
        Assert.Contains("10 s", error.Message, StringComparison.Ordinal);
        Assert.NotEmpty(error.RecommendedAction);
    }

    [Fact]
    public async Task Connect_ListenerWhoseQueueIsFull_IsWaitedForLikeOneThatDoesNotAnswer()
    {
        Directory.CreateDirectory(SocketFolder);
        string path = Path.Combine(SocketFolder, "4194303.sock");
        using var hung = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        hung.Bind(new UnixDomainSocketEndPoint(path));
        hung.Listen(0);
        var waiting = new List<Socket>();
        for (bool isFull = false; !isFull;)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            waiting.Add(socket);
            try
            {
                socket.Connect(new UnixDomainSocketEndPoint(path));
            }
            catch (SocketException exception)
            {
                Assert.Equal(SocketError.WouldBlock, exception.SocketErrorCode);
                isFull = true;
            }
        }

        Task<Stream?> connecting = _transport.ConnectAsync(4194303, Token);
        Assert.False(connecting.IsCompleted);
        // The last of those that wait may be accepted before the connection is seen to be made: nobody may wait for one more.
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task accepting = AcceptAllAsync(hung, ended.Token);
        using Stream? connection = await connecting.WaitAsync(TimeSpan.FromMinutes(2), Token);
        await ended.CancelAsync();
        await accepting;
        Assert.NotNull(connection);
        waiting.ForEach(socket => socket.Dispose());
    }

    private static async Task AcceptAllAsync(Socket listener, CancellationToken cancellationToken)
    {
        try
        {
            while (true)
                (await listener.AcceptAsync(cancellationToken)).Dispose();
        }
        catch (OperationCanceledException)
        {
            // Enough.
        }
    }

    [Fact]
    public async Task FindAsync_ListenerThatSpeaksSomethingElse_IsSkipped()
    {
        Directory.CreateDirectory(SocketFolder);
        using var other = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        other.Bind(new UnixDomainSocketEndPoint(Path.Combine(SocketFolder, "4194301.sock")));
        other.Listen();
        Task<TunnelSearch> finding = new ControlSocketClient(_transport, TimeProvider.System).FindAsync(
            ControlSocketClient.CallTimeout, Token);
        using (Socket connection = await other.AcceptAsync(Token))
            await connection.SendAsync("HTTP/1.1 400 Bad Request\r\n\r\n\0\u0001garbage"u8.ToArray(), Token);

        TunnelSearch search = await finding;

        Assert.Empty(search.Tunnels);
    }

    [Fact]
    public async Task Server_ConnectionThatSpeaksSomethingElse_DoesNotDisturbOthers()
    {
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [FakeTunnel.SampleServer()]);
        var random = new Random(7);
        for (int i = 0; i < 50; i++)
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(OwnSocket), Token);
            byte[] garbage = new byte[random.Next(1, 300)];
            random.NextBytes(garbage);
            await socket.SendAsync(garbage, Token);
        }

        Assert.Equal("office", (await Remote("office").GetStatusAsync(Token)).Name);
    }

    [Fact]
    public async Task Server_MoreConnectionsThanItServes_WaitForTheirTurn()
    {
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [FakeTunnel.SampleServer()]);
        var sockets = new List<Socket>();
        for (int i = 0; i < ControlTransport.MaximumConnections; i++)
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(OwnSocket), Token);
            sockets.Add(socket);
        }

        Task<TunnelStatus> waiting = Remote("office").GetStatusAsync(Token);
        sockets.ForEach(socket => socket.Dispose());

        Assert.Equal("office", (await waiting).Name);
    }

    [Fact]
    public void Listen_FilesAndFolders_AreTheOwnersAlone()
    {
        string folder = Path.Combine(_folder.FullName, "made");
        var transport = new UnixControlTransport(folder, "1");
        string socket = Path.Combine(folder, "net-1", Environment.ProcessId + ".sock");
        using (transport.Listen())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(socket));
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
        }

        Assert.False(File.Exists(socket));
    }

    /// <summary>A program of another user asks for the settings, which hold the network's key.</summary>
    [Fact]
    public async Task AnotherUser_IsNotAnswered_EvenWhereTheFilesLetEverybodyIn()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "Only root can be another user.");
        Assert.SkipUnless(File.Exists("/usr/bin/perl") && File.Exists("/usr/bin/setpriv"), "needs perl and setpriv.");
        FakeTunnel tunnel = FakeTunnel.SampleServer();
        tunnel.Settings = new ServerSettings { Name = "office", NetworkKey = new Secret("the key") };
        using ControlSocketServer server = ControlSocketServer.Start(_transport, () => [tunnel]);

        Assert.Contains("the key", await AskAsync([]), StringComparison.Ordinal);
        string[] another = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
        Assert.Equal("not connected", await AskAsync(another));

        foreach (string path in (string[])[_folder.FullName, SocketFolder, OwnSocket])
            File.SetUnixFileMode(path, (UnixFileMode)0b111_111_111);
        Assert.Equal("connected", await AskAsync(another));
        Assert.Contains("the key", await AskAsync([]), StringComparison.Ordinal);
    }

    /// <summary>What a program with a connection of its own is told of the settings.</summary>
    private async Task<string> AskAsync(string[] asUser)
    {
        const string Program = """
            use Socket;
            $SIG{PIPE} = 'IGNORE';
            socket(my $socket, PF_UNIX, SOCK_STREAM, 0) or die $!;
            connect($socket, sockaddr_un($ARGV[0])) or do { print "not connected"; exit };
            my $question = '{"jsonrpc":"2.0","id":1,"method":"GetSettingsAsync","params":["office"]}';
            syswrite($socket, "Content-Length: " . length($question) . "\r\n\r\n$question");
            my $answer = "connected";
            while ($answer !~ /\}\z/ && sysread($socket, my $more, 65536)) { $answer .= $more; }
            print $answer;
            """;
        string[] command = [.. asUser, "/usr/bin/perl", "-e", Program, OwnSocket];
        using Process process = Process.Start(new ProcessStartInfo(command[0], command[1..]) { RedirectStandardOutput = true })!;
        string answer = await process.StandardOutput.ReadToEndAsync(Token);
        await process.WaitForExitAsync(Token);
        return answer;
    }

    [Fact]
    public void Listen_PathThatIsTooLong_SaysWhatToDo()
    {
        var transport = new UnixControlTransport(Path.Combine(_folder.FullName, new string('x', 200)), "1");

        LightTunnelException exception = Assert.Throws<LightTunnelException>(transport.Listen);

        Assert.Equal(LightTunnelError.FileAccess, exception.Error);
        Assert.Contains(UnixControlTransport.FolderVariable, exception.RecommendedAction, StringComparison.Ordinal);
    }

    [Fact]
    public void FindProcesses_OtherNamespace_IsAnotherMachine()
    {
        using ControlListener listener = _transport.Listen();
        File.WriteAllText(Path.Combine(SocketFolder, "12.sock"), string.Empty);
        var warnings = new List<string>();

        Assert.Equal([12], _transport.FindProcesses(warnings));
        Assert.Empty(new UnixControlTransport(_folder.FullName, "2").FindProcesses(warnings));
        Assert.Empty(warnings);
    }

    private sealed class ProgressList : IProgress<TestProgress>
    {
        private readonly ConcurrentQueue<TestProgress> _told = new();
        private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public IEnumerable<TestProgress> Told => _told;

        public Task First => _first.Task;

        public void Report(TestProgress value)
        {
            _told.Enqueue(value);
            _first.TrySetResult();
        }
    }

    private RemoteTunnelHandle Remote(string name) =>
        new(new ControlSocketClient(_transport, TimeProvider.System), Environment.ProcessId, name, TunnelRole.Server);
}
