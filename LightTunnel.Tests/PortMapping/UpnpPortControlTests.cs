using System.Net;
using System.Text;
using System.Xml;
using LightTunnel.PortMapping;
using LightTunnel.Tests.Membership;
using Xunit;

namespace LightTunnel.Tests.PortMapping;

/// <summary>UPnP with a gateway on the loopback: an obedient one, a stubborn one, and hostile ones.</summary>
public sealed class UpnpPortControlTests : IDisposable
{
    private const ushort Port = 5000;
    private static readonly Gateway Loopback = new(IPAddress.Loopback, IPAddress.Loopback);

    private readonly FakeIgd _igd = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public void Dispose() => _igd.Dispose();

    [Fact]
    public async Task Keep_AnObedientGateway_ForwardsThePort_AndNoLongerWhenRemoved()
    {
        UpnpPortControl control = Control(TimeProvider.System);
        PortMappingStatus status = await MapAsync(control);

        Assert.Equal((PortMappingState.Mapped, PortMappingProtocol.UpnpIgd), (status.State, status.Protocol));
        Assert.Equal("198.51.100.7:5000", status.External.ToString());
        Assert.False(status.IsExternalPrivate);
        Assert.Equal(("127.0.0.1", (int)Port, 3600), _igd.Entries[Port]);

        await control.RemoveAsync(Token);
        Assert.Empty(_igd.Entries);
    }

    [Fact]
    public async Task Keep_PortOfAnotherMachine_IsNotTakenFromIt()
    {
        _igd.Entries[Port] = ("127.0.0.9", Port, 0);
        PortMappingStatus status = await MapAsync(Control(TimeProvider.System));

        Assert.InRange(status.External.Port, 49152, 65535);
        Assert.Equal("127.0.0.9", _igd.Entries[Port].Client);
        Assert.Equal(("127.0.0.1", (int)Port, 3600), _igd.Entries[status.External.Port]);
    }

    [Fact]
    public async Task Keep_OwnEntryOfBefore_IsTakenUpAgain()
    {
        _igd.Entries[Port] = ("127.0.0.1", Port, 100);
        Assert.Equal(Port, (await MapAsync(Control(TimeProvider.System))).External.Port);
        Assert.Equal(3600, _igd.Entries[Port].Lease);
    }

    [Fact]
    public async Task Keep_ConflictThatOnlyAddingShows_LeadsToAnotherPort()
    {
        _igd.Refuse = (action, arguments) => action == "AddPortMapping" && arguments["NewExternalPort"] == "5000" ? 718 : 0;
        Assert.NotEqual(Port, (await MapAsync(Control(TimeProvider.System))).External.Port);
    }

    [Fact]
    public async Task Keep_GatewayWithPermanentLeasesOnly_GetsOne()
    {
        _igd.Refuse = (action, arguments) => action == "AddPortMapping" && arguments["NewLeaseDuration"] != "0" ? 725 : 0;
        PortMappingStatus status = await MapAsync(Control(TimeProvider.System));
        Assert.Equal((PortMappingState.Mapped, null), (status.State, status.LeaseEnd));
        Assert.Equal(0, _igd.Entries[Port].Lease);
    }

    [Fact]
    public async Task Keep_AfterHalfOfTheLease_Renews()
    {
        var renewed = new TaskCompletionSource();
        int reports = 0;
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task keeping = Control(
            new QuickTime(2000, TimeSpan.FromMinutes(1))).KeepAsync(_ => { if (++reports == 3) renewed.SetResult(); }, end.Token);
        await renewed.Task.WaitAsync(TimeSpan.FromMinutes(2), Token);
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => keeping);
        Assert.True(_igd.Requests.Count(request => request == "AddPortMapping") >= 3);
    }

    [Theory]
    [InlineData(606)]
    [InlineData(501)]
    public async Task Keep_Refused_SaysWhy(int error)
    {
        _igd.Refuse = (action, _) => action == "AddPortMapping" ? error : 0;
        PortMappingStatus status = await Control(TimeProvider.System).KeepAsync(_ => { }, Token);
        Assert.Equal(PortMappingState.Refused, status.State);
        Assert.Equal(GatewayResults.Describe(PortMappingProtocol.UpnpIgd, error), status.Reason);
    }

    [Theory]
    [InlineData("")]
    [InlineData("0.0.0.0")]
    [InlineData("255.255.255.255")]
    [InlineData("fe80::1")]
    [InlineData("router")]
    public async Task Keep_GatewayWithoutAnAddress_IsNoMapping(string address)
    {
        _igd.ExternalAddress = address;
        PortMappingStatus status = await Control(TimeProvider.System).KeepAsync(_ => { }, Token);
        Assert.Equal((PortMappingState.Refused, GatewayResults.NoAddress), (status.State, status.Reason));
        Assert.Empty(_igd.Entries);
    }

    [Theory]
    [InlineData("http://127.0.0.2:{0}/desc.xml")]
    [InlineData("http://localhost:{0}/desc.xml")]
    [InlineData("https://127.0.0.1:{0}/desc.xml")]
    [InlineData("file:///etc/passwd")]
    [InlineData("http://user@127.0.0.1:{0}/desc.xml")]
    [InlineData("http://127.0.0.1:0/")]
    [InlineData("http://127.0.0.1:99999/")]
    [InlineData("http://[::1]:{0}/desc.xml")]
    [InlineData("/desc.xml")]
    [InlineData("")]
    public async Task Search_LocationThatIsNotTheGateways_IsNotFollowed(string location)
    {
        _igd.Location = string.Format(System.Globalization.CultureInfo.InvariantCulture, location, _igd.HttpPort);
        await AssertNotAvailableAsync();
        Assert.Empty(_igd.Requests);
    }

    [Fact]
    public async Task Search_AnswerFromElsewhere_IsIgnored()
    {
        using var neighbour = new FakeIgd(IPAddress.Parse("127.0.0.2"));
        var gateway = new Gateway(IPAddress.Loopback, IPAddress.Loopback);
        PortMappingStatus status = await new UpnpPortControl(
            gateway, Port, new GatewayPorts(Ssdp: neighbour.SsdpPort), new QuickTime(10)).KeepAsync(_ => { }, Token);
        Assert.Equal(PortMappingState.NotAvailable, status.State);
        Assert.Empty(neighbour.Requests);
    }

    public static TheoryData<string> HostileDescriptions => new(
        "<!DOCTYPE root [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]><root>&b;</root>",
        "<!DOCTYPE root SYSTEM \"file:///etc/passwd\"><root/>",
        string.Concat(Enumerable.Repeat("<service>", 7000)) + string.Concat(Enumerable.Repeat("</service>", 7000))[..1],
        string.Concat(Enumerable.Repeat("<a>", 9000)) + string.Concat(Enumerable.Repeat("</a>", 9000)),
        "<root>" + new string('x', IgdMessages.MaximumLength) + "</root>",
        "<?xml version=\"1.0\" encoding=\"no-such-thing\"?><root/>",
        "not XML",
        "");

    [Theory]
    [MemberData(nameof(HostileDescriptions))]
    public async Task Description_Hostile_IsNoGateway(string description)
    {
        _igd.Description = description;
        await AssertNotAvailableAsync();
    }

    [Theory]
    [InlineData("http://127.0.0.2/control", "")]
    [InlineData("http://192.0.2.1/control", "")]
    [InlineData("ftp://127.0.0.1/control", "")]
    [InlineData("/control", "<URLBase>http://192.0.2.1/</URLBase>")]
    [InlineData("http://", "")]
    [InlineData("<a>/control</a>", "")]
    public async Task Description_ControlThatIsNotTheGateways_IsNotCalled(string control, string extra)
    {
        _igd.Description = FakeIgd.Describe(control, extra: extra);
        await AssertNotAvailableAsync();
        Assert.All(_igd.Requests, request => Assert.StartsWith("GET", request, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n<root/>")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n<root/>")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFF\r\n")]
    [InlineData("nonsense\r\n\r\n")]
    [InlineData("")]
    public async Task Http_Hostile_IsNoGateway(string answer)
    {
        _igd.Raw["GET"] = answer;
        await AssertNotAvailableAsync();
    }

    [Fact]
    public async Task Http_EndlessAnswer_IsCutOff()
    {
        _igd.Raw["GET"] = "HTTP/1.1 200 OK\r\n\r\n" + new string(' ', 4 * IgdMessages.MaximumLength);
        await AssertNotAvailableAsync();
        _igd.Raw["GET"] = "HTTP/1.1 200 OK\r\n" + string.Concat(Enumerable.Repeat("X: " + new string('x', 1000) + "\r\n", 100)) + "\r\n";
        await AssertNotAvailableAsync();
    }

    [Theory]
    [InlineData("GetExternalIPAddress")]
    [InlineData("GetSpecificPortMappingEntry")]
    [InlineData("AddPortMapping")]
    public async Task Calls_AnsweredWithNonsense_AreNoMapping(string action)
    {
        foreach (string answer in new[] { FakeIgd.Ok("<a/>"), FakeIgd.Ok("<!DOCTYPE a []><a/>"),
            "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", FakeIgd.Ok("<UPnPError><errorCode>-1</errorCode></UPnPError>") })
        {
            _igd.Raw[action] = answer;
            await AssertNotAvailableAsync();
        }
    }

    [Fact]
    public void Decoders_MutatedInput_ThrowNothingButWhatIsSaid()
    {
        var mutator = new ByteMutator(Fuzz.Seed(1900));
        byte[] description = Encoding.UTF8.GetBytes(_igd.Description);
        byte[] search = Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nLOCATION: {_igd.Location}\r\nST: x\r\n\r\n");
        byte[] answer = IgdMessages.WriteCall(
            "urn:schemas-upnp-org:service:WANIPConnection:1", "AResponse", [("NewExternalIPAddress", "1.2.3.4")]);
        var location = new Uri(_igd.Location);
        for (int i = 0; i < Fuzz.Count(3000); i++)
        {
            if (SsdpMessages.TryReadLocation(mutator.Mutate(search), out Uri? found))
                IgdMessages.IsOf(found!, IPAddress.Loopback);
            Try(
                () => Assert.All(
                    IgdMessages.ReadServices(mutator.Mutate(description), location, IPAddress.Loopback),
                    service => Assert.Equal("127.0.0.1", service.Control.Host)));
            Try(() => IgdMessages.ReadAnswer(mutator.Mutate(answer), "A"));
        }

        static void Try(Action read)
        {
            try
            {
                read();
            }
            catch (XmlException)
            {
            }
        }
    }

    private UpnpPortControl Control(TimeProvider time) => new(Loopback, Port, new GatewayPorts(Ssdp: _igd.SsdpPort), time);

    private static async Task<PortMappingStatus> MapAsync(UpnpPortControl control)
    {
        var mapped = new TaskCompletionSource<PortMappingStatus>();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(Token);
        Task<PortMappingStatus> keeping = control.KeepAsync(status => mapped.TrySetResult(status), end.Token);
        PortMappingStatus result = await await Task.WhenAny(keeping, mapped.Task);
        await end.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => keeping);
        return result;
    }

    private async Task AssertNotAvailableAsync()
    {
        PortMappingStatus status = await Control(new QuickTime(10)).KeepAsync(_ => { }, Token);
        Assert.Equal(PortMappingState.NotAvailable, status.State);
        Assert.NotNull(status.Reason);
        Assert.Empty(_igd.Entries);
    }
}

/// <summary>A clock whose timers are early, for tests that wait until nothing comes.</summary>
/// <param name="factor">How much.</param>
/// <param name="shortest">Timers that are shorter are as usual.</param>
internal sealed class QuickTime(double factor, TimeSpan shortest = default) : TimeProvider
{
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period) =>
        base.CreateTimer(callback, state, dueTime > TimeSpan.Zero && dueTime >= shortest ? dueTime / factor : dueTime, period);
}
